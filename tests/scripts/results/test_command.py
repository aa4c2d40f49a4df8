"""The command of a run, found from nothing but its configuration, makes that configuration."""

import shlex

import pytest
from omegaconf import OmegaConf

from engine.config.compose import compose_run
from reporting.command import UNKNOWN, command
from reporting.run import Run


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
