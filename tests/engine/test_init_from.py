"""Training that begins with the weights of another run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from engine.checkpoint import read_checkpoint
from engine.config.compose import compose_run
from engine.config.run_name import group_name
from engine.initial_weights import weights_sha256
from tests.commands import command
from tests.killed_run import killed_in_step
from tracking.data_files import stamp
from tracking.run_folder import RunFolder

EXPORT = "hooks=[export_embeddings]"
UNTRAINED = "trainer.iterations=0"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, which no test changes."""
    return command(tmp_path_factory.mktemp("source"), EXPORT)


def weights(run: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = read_checkpoint(run / "checkpoints" / "last.pt")["parts"]["model"]
    return found


def embeddings(run: Path) -> np.ndarray:
    (file,) = (run / "embeddings").glob("test_*.npz")
    found: np.ndarray = np.load(file, allow_pickle=False)["embeddings"]
    return found


def record(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "init_from.json").read_text())
    return found


def group(runs: Path, *overrides: str) -> str:
    whole = compose_run(["dataset=digits", f"paths.runs={runs}", *overrides], True)
    config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    return group_name(config, dict(whole.hydra.runtime.choices))


def test_before_the_first_step_the_embeddings_are_those_of_the_source(
    source: Path, tmp_path: Path
) -> None:
    run = command(tmp_path / "tuned", f"init_from={source}", UNTRAINED, EXPORT)
    assert embeddings(run).tobytes() == embeddings(source).tobytes()
    scratch = command(tmp_path / "scratch", UNTRAINED, EXPORT)
    assert embeddings(scratch).tobytes() != embeddings(source).tobytes()


def test_the_run_folder_records_where_the_weights_came_from(source: Path, tmp_path: Path) -> None:
    run = command(tmp_path / "tuned", f"init_from={source}")
    checkpoint = source / "checkpoints" / "last.pt"
    found = record(run)
    assert found["checkpoint"] == str(checkpoint)
    assert (found["step"], found["head"]) == (4, True)
    assert found["sha256"] == weights_sha256(weights(source))
    assert not (source / "init_from.json").exists()


def test_the_name_has_the_checksum_of_the_weights_and_not_their_path(
    source: Path, tmp_path: Path
) -> None:
    name = group(tmp_path, f"init_from={source}")
    assert name.startswith("margin-distance-convnet_")
    last = source / "checkpoints" / "last.pt"
    shutil.copy(last, tmp_path / "copied.pt")
    shutil.copytree(source, tmp_path / "moved" / "seed0")
    content = read_checkpoint(last)
    torch.save({"parts": content["parts"], "step": 4}, tmp_path / "same_weights.pt")
    for same in ("copied.pt", "moved/seed0", "same_weights.pt"):
        assert group(tmp_path, f"init_from={tmp_path / same}") == name
    content["parts"]["model"]["head.bias"][0] += 1
    torch.save(content, tmp_path / "changed.pt")
    others = [
        group(tmp_path, f"init_from={tmp_path / 'changed.pt'}"),
        group(tmp_path, f"init_from={source}", "init_head=false"),
        group(tmp_path),
    ]
    assert len({name, *others}) == 4


def test_a_resumed_run_does_not_need_its_source(source: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(source, tmp_path / "source" / "seed0"))
    options = [f"init_from={source}"]
    with killed_in_step(3), pytest.raises(SystemExit, match="killed"):
        command(tmp_path / "parts", *options)
    whole = weights(command(tmp_path / "whole", *options))
    shutil.rmtree(source)
    resumed = weights(command(tmp_path / "parts", *options))
    assert all(tensor.equal(resumed[name]) for name, tensor in whole.items())
    assert record(next((tmp_path / "parts").glob("*/*/seed0")))["step"] == 4
    command(tmp_path / "parts", *options)  # shows its table
    with pytest.raises(SystemExit, match=rf"error: init_from={source}: does not exist"):
        command(tmp_path / "parts", *options, "seed=1")
    with pytest.raises(SystemExit, match=rf"error: init_from={source}: does not exist"):
        command(tmp_path / "parts", *options, "force=true")


def test_a_source_that_has_changed_is_warned_of(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It went on training: the command that once resumed a run now begins another."""
    checkpoint = tmp_path / "weights.pt"
    shutil.copy(source / "checkpoints" / "last.pt", checkpoint)
    name = group(tmp_path, f"init_from={checkpoint}")
    folder = RunFolder(tmp_path / "digits" / name / "seed0")
    folder.path.mkdir(parents=True)
    written = {"sha256": weights_sha256(weights(source)), "checkpoint": str(checkpoint)}
    folder.write_json(folder.init_from, {**written, "stamp": stamp(checkpoint)})
    assert group(tmp_path, f"init_from={checkpoint}") == name
    assert not caplog.messages
    content = read_checkpoint(checkpoint)
    content["parts"]["model"]["head.bias"][0] += 1
    torch.save(content, checkpoint)
    assert group(tmp_path, f"init_from={checkpoint}") != name
    (said,) = caplog.messages
    assert said.startswith(f"init_from={checkpoint}: its weights have changed since a run began")


def test_a_known_checkpoint_is_not_read_to_find_the_folder(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(tmp_path / "tuned", f"init_from={source}", UNTRAINED)
    monkeypatch.setattr("engine.initial_weights.load_weights", lambda _path: pytest.fail("read"))
    command(tmp_path / "tuned", f"init_from={source}", UNTRAINED)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "backbone.embedding_dim=64",
            r"head\.weight has the shape .* instead of \(64, 128\); init_head=false takes all",
        ),
        (
            "backbone.width=8",
            r"do not fit architectures\.convnet\.convnet as configured: .* has the shape",
        ),
        ("backbone.pooling=gem", r"pool\.p is missing"),
        ("backbone=timm backbone.model_name=test_resnet", "is not of this run|is missing"),
    ],
)
def test_weights_that_do_not_fit_are_one_line_before_a_folder_exists(
    override: str, message: str, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=message) as raised:
        command(tmp_path / "tuned", f"init_from={source}", *override.split())
    assert str(raised.value).startswith(f"error: init_from={source}: ")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "tuned").exists()


def test_the_head_may_be_another(source: Path, tmp_path: Path) -> None:
    options = [f"init_from={source}", "init_head=false", "backbone.embedding_dim=64"]
    run = command(tmp_path / "tuned", *options, "trainer.freeze=[trunk.*]")
    before, after = weights(source), weights(run)
    assert after["head.weight"].shape == (64, 128)
    for name, tensor in before.items():
        assert name.startswith("head.") or tensor.equal(after[name]), name
    assert record(run)["head"] is False


def test_a_head_of_the_same_size_is_left_out_if_asked(source: Path, tmp_path: Path) -> None:
    options = ["init_head=false", "trainer.freeze=[trunk.*]", "optimizer.lr=0"]
    after = weights(command(tmp_path / "tuned", f"init_from={source}", *options))
    before = weights(source)
    assert after["trunk.6.0.weight"].equal(before["trunk.6.0.weight"])
    assert not after["head.weight"].equal(before["head.weight"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nowhere", "init_from=nowhere: does not exist; it names a run folder"),
        ("{group}", "has no checkpoints/last.pt, did you mean .*/seed0?"),
        ("{file}", "init_from=.*: checkpoint .* is damaged"),
        ("[1]", "init_from=.*: must be"),
    ],
)
def test_what_is_no_run_is_one_line(value: str, message: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"no weights")
    given = value.format(group=source.parent, file=tmp_path / "weights.pt")
    with pytest.raises(SystemExit, match=message) as raised:
        command(tmp_path / "tuned", f"init_from={given}")
    assert "\n" not in str(raised.value)


def test_a_key_without_effect_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"error: init_head=false: concerns the weights of"):
        command(tmp_path, "init_head=false")


def test_the_weights_are_those_that_the_source_evaluates(tmp_path: Path) -> None:
    """The average, where a hook evaluates it instead of the weights in training."""
    ema = ["hooks=[ema]", "hooks.ema.evaluated=instead", "hooks.ema.decay=0.5"]
    source = command(tmp_path / "source", *ema)
    run = command(tmp_path / "tuned", f"init_from={source}", UNTRAINED)
    last = [json.loads((r / "summary.json").read_text())["last"] for r in (source, run)]
    assert last[0]["test/recall@1"] == last[1]["test/recall@1"]


def test_the_checksum_depends_on_names_shapes_types_and_values_alone() -> None:
    first = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor(3)}
    same = {"a": torch.tensor(3), "b": torch.arange(6.0).view(3, 2).clone().view(2, 3)}
    maps = torch.rand(2, 3, 4, 5)
    assert weights_sha256(first) == weights_sha256(same)
    assert weights_sha256({"w": maps}) == weights_sha256(
        {"w": maps.to(memory_format=torch.channels_last)}
    )
    for other in (
        {**first, "b": first["b"].view(3, 2)},
        {**first, "b": first["b"].double()},
        {**first, "b": first["b"] + 1},
        {"c": first["b"], "a": first["a"]},
    ):
        assert weights_sha256(other) != weights_sha256(first)
