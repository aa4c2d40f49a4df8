"""Losses and miners as their YAML builds them, in a run of 6 classes and 8 dimensions.

Where DML_CONFIG_DIR names a folder, as `main.py --config-dir` takes one, its components take the
place of those in conf/: so the tests of all components can be run on one outside the repository.
"""

import os
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from core.types import Miner

CONF = Path(__file__).parents[1] / "conf"
GIVEN = os.environ.get("DML_CONFIG_DIR")
TESTED = Path(GIVEN).absolute() if GIVEN else CONF
RUN = (
    *("num_classes=6", "backbone.embedding_dim=8"),
    *([f"hydra.searchpath=['file://{TESTED}']"] if GIVEN else []),
)


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (TESTED / group).glob("*.yaml"))


@cache
def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=[*RUN, *overrides], return_hydra_config=True)


def default_miner(loss: str) -> str:
    """The batchminer that a loss names in its defaults list."""
    return str(composed(f"loss={loss}").hydra.runtime.choices["batchminer"])


def takes_tuples(loss: str) -> bool:
    return "miner" in composed(f"loss={loss}").loss


def without_regularizer(loss: str) -> dict[str, object]:
    """The numbers that take out the penalty on embeddings, which no tuple causes."""
    return {"regularizer": None} if "regularizer" in composed(f"loss={loss}").loss else {}


def build_miner(choice: str, **numbers: object) -> Miner | None:
    config = composed(f"batchminer={choice}", "loss=triplet")
    return instantiate(OmegaConf.merge(config, {"batchminer": numbers}).batchminer)


def build_loss(choice: str, batchminer: str = "none", **numbers: object) -> nn.Module:
    config = composed(f"loss={choice}", f"batchminer={batchminer}")
    return instantiate(OmegaConf.merge(config, {"loss": numbers}).loss)
