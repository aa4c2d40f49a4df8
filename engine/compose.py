"""The configuration of a run from its overrides, as the command line would compose it."""

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from engine.configuration import CONF


def compose_run(overrides: Sequence[str], return_hydra_config: bool = False) -> DictConfig:
    """`python main.py <overrides>`; also where Hydra is at work already, as in main.py."""
    at_work = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", list(overrides), return_hydra_config)
    finally:
        GlobalHydra.instance().hydra = at_work
