"""What is wrong with a configuration is said in one line, before anything is read."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from engine.config.check import check
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF, group_name
from tests.programs import run_command

ROOT = Path(__file__).parents[2]
CHOICES = {"loss": "margin", "batchminer": "distance", "backbone": "resnet50"}


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides))


@pytest.mark.parametrize("dataset", sorted(path.stem for path in (CONF / "dataset").glob("*.yaml")))
def test_every_dataset_composes_and_passes(dataset: str) -> None:
    overrides = ["dataset.path=some"] if dataset in ("csv", "folder") else []
    check(composed(f"dataset={dataset}", *overrides), [])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+loss.betaa=3", "no YAML declares the key 'loss.betaa', did you mean 'beta'?"),
        ("+trainer.epoch=3", "did you mean 'epochs'?"),
        ("+nothing=3", "no YAML declares the key 'nothing'"),
        ("loss._target_=criteria.margin.Margn", "there is no criteria.margin.Margn"),
        ("loss._target_=torch.nn.MSELoss", "torch.nn.MSELoss takes no 'miner'"),
        ("tracker.mode=onlin", "tracker.mode=onlin: must be one of online, offline, disabled"),
        ("backbone.batchnorm=freeze", "did you mean 'frozen'?"),
        ("scheduler=cosine scheduler.unit=step", "must be one of epoch, iteration"),
        ("loss=arcface batchminer=distance", "choose batchminer=none"),
        ("seed=x", "seed=x: must be a whole number"),
        ("trainer.epochs=1.5", "trainer.epochs=1.5: must be a whole number"),
    ],
)
def test_what_cannot_work_is_named(override: str, message: str) -> None:
    overrides = override.split()
    with pytest.raises(ConfigurationError) as raised:
        check(composed(*overrides), overrides)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss.betaa=3", "Key 'betaa' is not in struct, did you mean 'beta'?"),
        ("los=margin", "Key 'los' is not in struct, did you mean 'loss'?"),
        ("loss=margn", "did you mean 'margin'? Available options in 'loss': adacos"),
        ("+loss.betaa=3", "did you mean 'beta'?"),
        ("dataset=cub200 paths.data=/nowhere", "CUB"),
        ("dataset=digits sampler.batch_size=49", "batch_size=49"),
        ("dataset=digits trainer.accelerator=tpu", "trainer.accelerator=tpu"),
    ],
)
def test_the_command_line_ends_with_one_line(override: str, message: str, tmp_path: Path) -> None:
    done = run_command("main.py", f"paths.runs={tmp_path}", *override.split())
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr


def test_the_group_names_what_can_change_a_result() -> None:
    plain = group_name(composed(), CHOICES)
    assert plain.startswith("margin-distance-resnet50_")
    same = ["seed=3", "paths.data=/x", "tracker.mode=online", "trainer.workers=3", "force=true"]
    assert group_name(composed(*same), CHOICES) == plain
    for other in ("loss.beta=0.6", "trainer.epochs=3", "sampler.batch_size=110", "metric=[nmi]"):
        assert group_name(composed(other), CHOICES) != plain


def test_a_group_of_ones_own_keeps_the_hash() -> None:
    plain, named = group_name(composed(), CHOICES), group_name(composed("group=mine"), CHOICES)
    assert named == f"mine_{plain.split('_')[-1]}"
