"""Losses and miners as their YAML builds them, without composing a whole run."""

from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from core.types import Miner

CONF = Path(__file__).parents[1] / "conf"
RUN = {"seed": 0, "num_classes": 6, "backbone": {"embedding_dim": 8}}


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def load(group: str, choice: str) -> DictConfig:
    config = OmegaConf.load(CONF / group / f"{choice}.yaml")
    assert isinstance(config, DictConfig)
    return config


def default_miner(loss: str) -> str:
    """The batchminer that a loss names in its defaults list."""
    (override,) = load("loss", loss).defaults
    return str(override["override /batchminer@_global_.batchminer"])


def takes_tuples(loss: str) -> bool:
    return "miner" in load("loss", loss)


def build_miner(choice: str, **numbers: object) -> Miner | None:
    return instantiate(_with_run(load("batchminer", choice), numbers))


def build_loss(choice: str, batchminer: str = "none", **numbers: object) -> nn.Module:
    loss = load("loss", choice)
    loss.pop("defaults")
    return instantiate(_with_run(loss, numbers, batchminer=load("batchminer", batchminer)))


def _with_run(part: DictConfig, numbers: dict[str, object], **others: DictConfig) -> DictConfig:
    """The part with its numbers changed, amid the rest of a run that it may refer to."""
    run = OmegaConf.create({**RUN, **others, "part": part})
    return OmegaConf.merge(run, {"part": numbers}).part
