"""Parameters that a pattern freezes keep their bits; a pattern that matches nothing is named."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from architectures.convnet import convnet
from engine.checkpoint import read_checkpoint
from engine.config.errors import ConfigurationError
from engine.freezing import freeze_matching, keep_frozen_batchnorm
from tests.commands import command
from tests.killed_run import killed_in_step


def weights(run: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = read_checkpoint(run / "checkpoints" / "last.pt")["parts"]["model"]
    return found


def test_frozen_blocks_keep_their_bits_while_others_learn(tmp_path: Path) -> None:
    """The first two blocks, statistics of their BatchNorm included."""
    source = command(tmp_path / "source")
    before = weights(source)
    options = [f"init_from={source}", "trainer.freeze=[trunk.0.*,trunk.2.*]"]
    after = weights(command(tmp_path / "frozen", *options))
    for name, tensor in after.items():
        frozen = name.startswith(("trunk.0.", "trunk.2."))
        assert tensor.equal(before[name]) == frozen, name
    assert "trunk.0.1.running_mean" in after


def test_a_pattern_chooses_by_the_name_of_a_parameter() -> None:
    network = convnet(width=2)
    freeze_matching(network, ["*.0.weight", "head.bias"])
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {*(f"trunk.{block}.0.weight" for block in (0, 2, 4, 6)), "head.bias"}


def test_batchnorm_stays_in_evaluation_mode_where_it_is_frozen_only() -> None:
    network = convnet(width=2)
    freeze_matching(network, ["trunk.0.*", "trunk.2.1.weight"])
    keep_frozen_batchnorm(network.train())
    modes = {n: m.training for n, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert modes == {"trunk.0.1": False, "trunk.2.1": True, "trunk.4.1": True, "trunk.6.1": True}


def test_no_pattern_freezes_nothing() -> None:
    network = convnet(width=2)
    freeze_matching(network, [])
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("trunk.8.*", "did you mean 'trunk.6.*'?"),
        ("trunk.0", "did you mean 'trunk.0.*'?"),
        ("trunc.4.0.weight", "did you mean 'trunk.4.0.weight'?"),
        ("layer1", "it has trunk.0.*, trunk.2.*, trunk.4.*, trunk.6.*, head.weight, head.bias"),
    ],
)
def test_a_pattern_that_matches_nothing_is_an_error_with_similar_ones(
    pattern: str, meant: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        freeze_matching(convnet(width=2), ["head.*", pattern])
    assert str(raised.value).startswith(f"trainer.freeze={pattern}: matches no parameter")
    assert meant in str(raised.value)


def test_a_backbone_with_nothing_to_train_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no parameter of the backbone is left to train"):
        freeze_matching(convnet(width=2), ["trunk.*", "head.*"])


def test_it_is_said_before_a_folder_exists(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"error: trainer\.freeze=trunk\.9\.\*: matches no"):
        command(tmp_path, "trainer.freeze=[trunk.9.*]")
    with pytest.raises(SystemExit, match=r"trainer\.features=frozen freezes all but the head"):
        command(tmp_path, "trainer.freeze=[trunk.0.*]", "trainer.features=frozen")
    assert not list(tmp_path.glob("*/*"))


def test_a_decayed_rate_is_the_rate_of_a_layer_of_a_run(tmp_path: Path) -> None:
    """And the record has the rate of the optimizer, whatever layer comes first."""
    run = command(tmp_path, "trainer.layer_lr_decay=0.5", "optimizer=sgd", "optimizer.lr=0.5")
    groups = read_checkpoint(run / "checkpoints" / "last.pt")["parts"]["optimizer"]["param_groups"]
    assert [group["lr"] for group in groups[:5]] == [0.5**5, 0.5**4, 0.5**3, 0.5**2, 0.5]
    assert '"train/lr": 0.5' in (run / "metrics.jsonl").read_text()


def test_a_run_with_decayed_rates_and_frozen_blocks_goes_on_with_the_same_bits(
    tmp_path: Path,
) -> None:
    options = ["trainer.layer_lr_decay=0.5", "trainer.freeze=[trunk.0.*]"]
    whole = weights(command(tmp_path / "whole", *options))
    with killed_in_step(3), pytest.raises(SystemExit, match="killed"):
        command(tmp_path / "parts", *options)
    resumed = weights(command(tmp_path / "parts", *options))
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
