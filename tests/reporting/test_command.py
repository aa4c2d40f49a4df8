"""The command of a run, recorded or derived from its configuration, makes that configuration."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from engine.config.compose import compose_run
from reporting.command import UNKNOWN, command
from reporting.readers.run_folders import read_folders
from reporting.run import Run
from sweeps.run_config import run_folder
from tests.commands import command as run_command


def run_of(group: str, *overrides: str) -> Run:
    told = [*overrides, "seed=3", "num_classes=7", "paths.data=/somewhere", "paths.runs=/elsewhere"]
    config = OmegaConf.to_container(compose_run(told), resolve=True)
    assert isinstance(config, dict)
    dataset = next(o.split("=")[1] for o in overrides if o.startswith("dataset="))
    return Run(dataset, f"{group}_0badcafe", 3, config=config)


@pytest.mark.parametrize(
    "overrides",
    [
        ["dataset=cub200", "loss=margin"],
        ["dataset=cars196", "loss=triplet", "batchminer=semihard", "loss.margin=0.1"],
        ["dataset=sop", "loss=softmax", "optimizer=sgd", "optimizer.lr=0.01", "trainer.epochs=3"],
        ["dataset=omniglot_small", "loss=arcface", "validation=classes", "transform=base"],
    ],
    ids=lambda overrides: " ".join(overrides),
)
def test_the_command_makes_the_run_again(overrides: list[str]) -> None:
    run = run_of("anything", *overrides)
    words = shlex.split(command(run, [1, 0]))
    assert words[:3] == ["python", "main.py", "-m"]
    assert words[-1] == "seed=0,1"
    again = run_of("anything", *words[3:-1])
    assert again.config == run.config
    assert "somewhere" not in " ".join(words)


def test_one_seed_needs_no_sweep() -> None:
    run = run_of("margin", "dataset=cub200", "loss=margin")
    assert command(run, [3]) == "python main.py dataset=cub200 loss=margin seed=3"


def test_an_experiment_is_named_if_it_is_that() -> None:
    study = "experiment=roth2020/cub200/margin_b06_distance"
    that = run_of("roth2020_margin_b06_distance", "dataset=cub200", study)
    assert command(that, [0, 1]) == f"python main.py -m {study} seed=0,1"
    run = run_of("roth2020_margin_b06_distance", "dataset=cub200", "loss=margin")
    assert command(run, [3]) == "python main.py dataset=cub200 loss=margin seed=3"


def test_a_configuration_that_no_command_makes_has_none() -> None:
    run = run_of("margin", "dataset=cub200", "loss=margin")
    removed = {**run.config, "loss": {**run.config["loss"], "gone": 1}}
    assert command(Run("cub200", "margin_0badcafe", 3, config=removed), [3]) == UNKNOWN


# Recorded overrides

PRIVATE = ("paths.runs=/scratch/runs", "tracker.mode=disabled", "trainer.workers=3", "seed=7")


def recorded(*overrides: str) -> Run:
    """A run with the name that these overrides give it."""
    told = [*overrides, "seed=3", "num_classes=7", "paths.data=/somewhere"]
    whole = compose_run(told, return_hydra_config=True)
    config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    dataset, group, _ = run_folder(config, whole.hydra.runtime.choices).path.parts[-3:]
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    return Run(dataset, group, 3, config=content, overrides=overrides)


@pytest.fixture(scope="module")
def margin() -> Run:
    return recorded("dataset=cub200", "loss=margin")


@pytest.mark.parametrize(
    "overrides",
    [
        ["dataset=cub200", "loss=margin", "loss.beta=0.6", "+trainer.storage_metrics=[]"],
        ["loss=triplet", "batchminer=semihard", "dataset=csv", "dataset.path='a, b.csv'"],
        ["dataset=sop", "loss=softmax", "optimizer=sgd", "group=mine", "trainer.source=device"],
        ["protocol=roth2020/cub200", "loss=contrastive"],
    ],
    ids=" ".join,
)
def test_recorded_overrides_are_the_command(overrides: list[str]) -> None:
    run = recorded(*overrides)
    private = replace(run, overrides=[*PRIVATE, *overrides])
    words = shlex.split(command(private, [1, 0]))
    assert words == ["python", "main.py", "-m", *overrides, "seed=0,1"]
    again = recorded(*words[3:-1])
    assert (again.dataset, again.group) == (run.dataset, run.group)


@pytest.mark.parametrize(
    "overrides",
    [
        ["dataset=cub200", "loss=margin", "loss.beta=0.7"],
        ["dataset=cub200", "loss=margin", "+loss.terms={_target_: os.system}"],
        ["dataset=cub200", "loss=gone"],
        ["dataset=cub200", "loss=[unreadable"],
    ],
    ids=" ".join,
)
def test_overrides_that_do_not_make_the_run_are_not_the_command(
    overrides: list[str], margin: Run
) -> None:
    expected = "python main.py dataset=cub200 loss=margin seed=3"
    assert command(replace(margin, overrides=overrides), [3]) == expected


@pytest.mark.parametrize(
    "override",
    [
        "hydra/launcher=joblib",
        "+hydra.callbacks.x={_target_: os.system}",
        "+loss@hydra.callbacks=margin",
        "paths.runs=/etc",
        "force=true",
    ],
)
def test_settings_that_are_not_of_the_run_are_left_out(override: str, margin: Run) -> None:
    """A user pastes the command of somebody's run."""
    private = replace(margin, overrides=[override, *margin.overrides])
    assert command(private, [3]) == "python main.py dataset=cub200 loss=margin seed=3"


def test_a_metric_of_other_code_is_no_command(margin: Run) -> None:
    """The hash is right, for its author can compute it."""
    strange = recorded(*margin.overrides, "+metric.x={_target_: os.system}")
    run = replace(strange, config=margin.config)
    assert "os.system" not in command(run, [3])


def test_a_run_records_its_overrides(tmp_path: Path) -> None:
    folder = run_command(tmp_path, "trainer.iterations=2", "loss=margin", "loss.beta=0.6")
    text = (folder / "overrides.json").read_text()
    assert str(tmp_path) not in text
    assert "tracker" not in text
    (run,) = read_folders(tmp_path)
    words = shlex.split(command(run, [run.seed]))
    assert words[:2] == ["python", "main.py"]
    assert words[2:-1] == list(run.overrides)
    assert {"dataset=digits", "metric=[recall]", "loss.beta=0.6"} <= set(words)
    assert recorded(*words[2:-1]).group == folder.parent.name
