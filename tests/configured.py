"""Losses and miners as their YAML builds them, in a run of 6 classes and 8 dimensions.

Where DML_CONFIG_DIR names a folder, as `main.py --config-dir` takes one, its components take the
place of those in conf/: so the tests of all components can be run on one outside the repository.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from core.types import Miner

CONF = Path(__file__).parents[1] / "conf"
GIVEN = os.environ.get("DML_CONFIG_DIR")
TESTED = Path(GIVEN).absolute() if GIVEN else CONF
SEARCH_PATH = [f"hydra.searchpath=['file://{TESTED}']"] if GIVEN else []
RUN = ("num_classes=6", "backbone.embedding_dim=8")
ConfigStore.instance().store(  # what losses and miners refer to, composed in half the time
    "objective",
    {
        "defaults": [{"batchminer": "none"}, {"loss": "triplet"}, "_self_"],
        "num_classes": 6,
        "backbone": {"embedding_dim": 8},
        "seed": 0,
    },
)


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (TESTED / group).glob("*.yaml"))


@cache
def read(group: str, choice: str) -> dict[str, Any]:
    """The content of a YAML file alone, which takes a hundredth of the time of composing it."""
    folder = TESTED if (TESTED / group / f"{choice}.yaml").exists() else CONF
    content: dict[str, Any] = yaml.safe_load((folder / group / f"{choice}.yaml").read_text())
    return content


def with_parts(loss: str) -> Iterator[dict[str, Any]]:
    """The values of a loss, then those of each loss that it wraps."""
    own, parts, values = read("loss", loss), [], {}
    for default in own.get("defaults", []):
        if isinstance(default, str) and default != "_self_":
            values |= next(with_parts(default))  # a preset of another loss
        elif isinstance(default, dict):
            parts += [part for group, part in default.items() if group.startswith("/loss@")]
    yield {**values, **own}
    for part in parts:
        yield from with_parts(part)


@cache
def composed(*overrides: str) -> DictConfig:
    """The whole configuration of a run."""
    return _compose("config", *RUN, *overrides)


@cache
def alone(override: str) -> DictConfig:
    """The loss and the miner of the same run, without its other groups."""
    return _compose("objective", override)


@cache
def objective(loss: str, batchminer: str) -> DictConfig:
    config = alone(f"loss={loss}")
    config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    config.batchminer = alone(f"batchminer={batchminer}").batchminer
    return config


def _compose(name: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(name, overrides=[*SEARCH_PATH, *overrides], return_hydra_config=True)


def default_miner(loss: str) -> str:
    """The batchminer that a loss names in its defaults list."""
    return str(alone(f"loss={loss}").hydra.runtime.choices["batchminer"])


def takes_tuples(loss: str) -> bool:
    return "miner" in next(with_parts(loss))


def without_regularizer(loss: str) -> dict[str, object]:
    """The numbers that take out the penalty on embeddings, which no tuple causes."""
    return {"regularizer": None} if "regularizer" in next(with_parts(loss)) else {}


def build_miner(choice: str, **numbers: object) -> Miner | None:
    config = objective("triplet", choice)
    return instantiate(OmegaConf.merge(config, {"batchminer": numbers}).batchminer)


def build_loss(choice: str, batchminer: str = "none", **numbers: object) -> nn.Module:
    config = objective(choice, batchminer)
    return instantiate(OmegaConf.merge(config, {"loss": numbers}).loss)
