"""Which folder a run has: a function of its configuration alone; and the command that makes it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.conf import HydraConf
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from engine.config.dataset import data_root, dataset_name
from engine.config.run_name import CONF, check_place, group_name
from tracking.run_folder import RunFolder

OF_THE_SWEEP = ("mode", "sweep", "sweeper", "launcher")  # below hydra, no business of a run


def run_folder(config: DictConfig, choices: Mapping[str, Any]) -> RunFolder:
    """`<paths.runs>/<dataset>/<group>/seed<k>`.

    Args:
        config: of the run, without the node `hydra`.
        choices: of every group, `hydra.runtime.choices`.

    Raises:
        ConfigurationError: what names the folder is missing or no name of a folder.
    """
    check_place(config, choices)
    dataset = dataset_name(config.dataset, choices["dataset"])
    group = Path(config.paths.runs, dataset, group_name(config, dict(choices)))
    return RunFolder(group / f"seed{config.seed}", data_root(config))


def arguments(hydra: DictConfig | HydraConf) -> list[str]:
    """What follows `python main.py` to make one run of a sweep again.

    The options that choose configuration files, such as `--config-dir`, come first, then the
    overrides of Hydra itself and those of the run.

    Args:
        hydra: of the run as the sweep composed it, `HydraConfig.get()` or its node `hydra`.
    """
    options = []
    for source in hydra.runtime.config_sources:
        place = f"{source.schema}://{source.path}" if source.schema == "pkg" else source.path
        if source.provider == "main" and place != str(CONF):
            options.append(f"--config-path={place}")
        if source.provider == "command-line":
            options.append(f"--config-dir={place}")
    if hydra.job.config_name != "config":
        options.append(f"--config-name={hydra.job.config_name}")
    own = [line for line in hydra.overrides.hydra if not _of_the_sweep(line)]
    return [*options, *own, *hydra.overrides.task]


def _of_the_sweep(override: str) -> bool:
    key = re.split(r"[=@]", override.lstrip("+~"), maxsplit=1)[0]
    _, part, *_ = [*re.split(r"[./]", key), ""]
    return part in OF_THE_SWEEP


class Composed(NamedTuple):
    """A run before it starts: what it is asked to do, where, which choices, by which command."""

    config: DictConfig
    folder: RunFolder
    choices: Mapping[str, Any]
    arguments: list[str]


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
    return Composed(config, run_folder(config, choices), choices, arguments(whole.hydra))
