"""Which folder a run has: a function of its configuration alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from engine.configuration import check_place, group_name
from tracking.run_folder import RunFolder


def run_folder(config: DictConfig, choices: Mapping[str, Any]) -> RunFolder:
    """`<paths.runs>/<dataset>/<group>/seed<k>`.

    Args:
        config: of the run, without the node `hydra`.
        choices: of every group, `hydra.runtime.choices`.

    Raises:
        ConfigurationError: what names the folder is missing or no name of a folder.
    """
    check_place(config, choices)
    group = Path(config.paths.runs, choices["dataset"], group_name(config, dict(choices)))
    return RunFolder(group / f"seed{config.seed}")


class Composed(NamedTuple):
    """A run before it starts: what it is asked to do, where, and the choice of every group."""

    config: DictConfig
    folder: RunFolder
    choices: Mapping[str, Any]


def compose(loader: ConfigLoader, sweep: DictConfig, overrides: Sequence[str]) -> Composed:
    """One job of a sweep.

    Args:
        loader: that composed the sweep.
        sweep: the configuration of the sweep itself.
        overrides: of this job.
    """
    whole = loader.load_sweep_config(sweep, list(overrides))
    config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    choices = whole.hydra.runtime.choices
    return Composed(config, run_folder(config, choices), choices)
