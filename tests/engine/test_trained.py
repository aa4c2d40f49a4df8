"""A run's configuration on another machine, with other choices; its backbone from a checkpoint."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from torch import nn

from core.files import DamagedFileError
from engine.checkpoint import CheckpointError
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF
from engine.trained_run import (
    NEEDED_GROUPS,
    NoRunError,
    Weights,
    evaluation_config,
    find_run,
    load_backbone,
    load_config,
    load_weights,
)


@pytest.fixture(autouse=True)
def no_folder_of_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DML_DATA", raising=False)


def saved(*overrides: str) -> DictConfig:
    """What a run writes into config.yaml: everything resolved."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=["num_classes=3", "paths.data=/then", *overrides])
    resolved = OmegaConf.create(OmegaConf.to_yaml(config, resolve=True))
    assert isinstance(resolved, DictConfig)
    return resolved


def test_without_overrides_only_the_machine_is_another() -> None:
    before = saved("trainer.accelerator=cuda", "trainer.workers=3")
    after = evaluation_config(before, [])
    assert (after.trainer.accelerator, after.trainer.workers) == ("auto", "auto")
    after.trainer.accelerator, after.trainer.workers = "cuda", 3
    assert OmegaConf.to_container(after, resolve=True) == OmegaConf.to_container(before)
    assert before.trainer.accelerator == "cuda", "the given one is left alone"


def test_datasets_are_where_they_are_now(monkeypatch: pytest.MonkeyPatch) -> None:
    assert evaluation_config(saved(), []).dataset.root == "/then"
    assert evaluation_config(saved(), ["paths.data=/named"]).dataset.root == "/named"
    monkeypatch.setenv("DML_DATA", "/now")
    assert evaluation_config(saved(), []).dataset.root == "/now"
    assert evaluation_config(saved(), ["paths.data=/named"]).dataset.root == "/named"
    assert evaluation_config(saved("dataset.root=/own"), []).dataset.root == "/own"


def test_folds_are_measured_where_they_were_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A user joins folds in a shell whose DML_DATA names another folder than the runs had."""
    monkeypatch.setenv("DML_DATA", "/now")
    before = saved(f"paths.data={tmp_path}")
    assert evaluation_config(before, [], recorded_data=True).dataset.root == str(tmp_path)
    assert evaluation_config(saved(), [], recorded_data=True).dataset.root == "/now", "gone since"


def test_a_choice_replaces_its_group_and_nothing_else() -> None:
    before = saved("dataset=omniglot_small")
    after = evaluation_config(before, ["dataset=sop", "paths.data=/now", "dataset.counts=null"])
    assert after.dataset._target_ == "datasets.sop.sop"
    assert (after.dataset.root, after.dataset.counts) == ("/now", None)
    for group in ("transform", "metric", "backbone", "validation"):
        assert after[group] == before[group]


def test_other_metrics_are_the_ones_measured() -> None:
    after = evaluation_config(saved(), ["metric=[nmi]"])
    assert list(after.evaluation.measure.metrics) == ["nmi"]
    own = saved()
    own.evaluation.measure.metrics = {"f1": own.metric.f1}
    assert list(evaluation_config(own, ["metric=[nmi]"]).evaluation.measure.metrics) == ["f1"]


@pytest.mark.parametrize(
    "override", ["+trainer.epochs=3", "~trainer", "seed=1,2", "seeds=1", "seed.a=1", "loss.lr.a=1"]
)
def test_nothing_is_added_removed_or_swept(override: str) -> None:
    with pytest.raises(ConfigurationError):
        evaluation_config(saved(), [override])


CHOICE = OmegaConf.create(
    {
        "backbone": {
            "_target_": "architectures.timm.timm_model",
            "model_name": "test_resnet",
            "embedding_dim": 4,
            "pretrained": False,
        }
    }
)


def test_a_backbone_comes_from_its_checkpoint_alone() -> None:
    """`pretrained: true` asks for weights that may not be available, to overwrite them at once."""
    first = load_backbone(CHOICE, Weights(backbone_state(), 0))
    config = OmegaConf.merge(CHOICE, {"backbone": {"pretrained": True}})
    assert isinstance(config, DictConfig)
    again = load_backbone(config, Weights(first.state_dict(), 0))
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    assert first.eval()(images).equal(again.eval()(images))
    assert config.backbone.pretrained


def backbone_state() -> dict[str, torch.Tensor]:
    from architectures.timm import timm_model

    state: dict[str, torch.Tensor] = timm_model(
        "test_resnet", embedding_dim=4, pretrained=False
    ).state_dict()
    return state


def test_weights_of_something_else_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"does not fit architectures\.timm\.timm_model"):
        load_backbone(CHOICE, Weights(nn.Linear(2, 2).state_dict(), 0))


@pytest.mark.parametrize("content", [b"", b"a: [", b"[1]", b"\xff\xff", b"seed: 1\npaths: {}\n"])
def test_a_damaged_configuration_is_named(tmp_path: Path, content: bytes) -> None:
    """A killed run's config.yaml was damaged, and scripts.evaluate spoke of a missing key."""
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"config\.yaml is damaged .*force=true"):
        load_config(tmp_path, needed=NEEDED_GROUPS)


def test_both_kinds_of_checkpoints_are_read(tmp_path: Path) -> None:
    parts = {"parts": {"model": {"w": torch.ones(2)}}}
    torch.save({**parts, "position": (7, 1234)}, tmp_path / "last.pt")
    torch.save({**parts, "step": 5}, tmp_path / "best.pt")
    assert load_weights(tmp_path / "last.pt").step == 7
    assert load_weights(tmp_path / "best.pt").step == 5
    assert load_weights(tmp_path / "best.pt").model["w"].equal(torch.ones(2))


def test_a_run_is_found_by_its_folder_or_a_checkpoint(tmp_path: Path) -> None:
    checkpoints = tmp_path / "group" / "seed0" / "checkpoints"
    checkpoints.mkdir(parents=True)
    run = checkpoints.parent
    with pytest.raises(NoRunError, match=r"has no config\.yaml"):
        find_run(run)
    (run / "config.yaml").touch()
    with pytest.raises(NoRunError, match=r"has no checkpoints/last\.pt"):
        find_run(run)
    with pytest.raises(NoRunError, match=f"did you mean {run}"):
        find_run(run.parent)
    for name in ("last.pt", "best_test_recall@1.pt"):
        (checkpoints / name).touch()
    assert find_run(run) == (run, checkpoints / "last.pt")
    best = checkpoints / "best_test_recall@1.pt"
    assert find_run(best) == (run, best)
