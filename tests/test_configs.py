"""Every YAML of conf/ composes into a run, passes the checks and builds what it names."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from engine.config.check import check
from engine.config.run_name import CONF

ELSEWHERE = {
    "experiment": "tests/test_experiments.py",
    "protocol": "tests/test_experiments.py",
    "hydra": "tests/sweeps",
    "search": "tests/sweeps",
    "index": "tests/retrieval/test_kinds.py",
    "download": "tests/scripts/test_prepare_data.py",
}
CHOICES = sorted(
    choice
    for path in CONF.glob("*/**/*.yaml")
    if (choice := path.relative_to(CONF).with_suffix("")).parts[0] not in ELSEWHERE
)
ON_DISK = {  # built in tests/datasets
    *("cub200", "cars196", "sop", "inshop", "grocery_store", "csv", "folder")
}
NEEDED = {
    "dataset=csv": ["dataset.path=table.csv"],
    "dataset=folder": ["dataset.path=photos"],
    "transform=timm": ["backbone=efficientnet_lite0"],
    "backbone=timm": [],
}
SETTINGS = {"trainer", "evaluation"}  # read by main.py, nothing to build as a whole


def composed(choice: Path) -> DictConfig:
    group, name = choice.parts[0], "/".join(choice.parts[1:])
    value = f"[{name}]" if group == "metric" else name
    selected = f"{group}={value}"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=[selected, *NEEDED.get(selected, [])])
    config.num_classes = 3
    if "pretrained" in config.backbone:
        config.backbone.pretrained = False
    return config


def test_the_list_is_not_empty() -> None:
    assert len({choice.parts[0] for choice in CHOICES}) >= 12


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_it_composes_and_builds(choice: Path) -> None:
    config = composed(choice)
    check(config, [])
    group = choice.parts[0]
    if group not in SETTINGS and not (group == "dataset" and choice.name in ON_DISK):
        built = instantiate(config[group])
        assert built is not None or choice.name == "none"
    if group == "evaluation":
        assert instantiate(config.evaluation.measure).higher_is_better


@pytest.mark.parametrize("loss", [c.name for c in CHOICES if c.parts[0] == "loss"])
def test_a_loss_names_its_miner_and_the_command_line_wins(loss: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        default = compose("config", overrides=[f"loss={loss}"])
        none = compose("config", overrides=[f"loss={loss}", "batchminer=none"])
    takes_tuples = "${batchminer}" in OmegaConf.to_yaml(default.loss)
    assert takes_tuples or default.batchminer["_target_"] == "types.NoneType"
    assert none.batchminer["_target_"] == "types.NoneType"
