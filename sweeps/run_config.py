"""Run folder of a configuration, and the command line arguments that repeat a run of a sweep."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.conf import HydraConf
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from engine.config.dataset import data_root, dataset_name
from engine.config.run_name import CONF, check_folder_keys, group_name
from tracking.run_folder import RunFolder

SWEEP_KEYS = ("mode", "sweep", "sweeper", "launcher")  # below hydra; they do not concern a run


def run_folder(config: DictConfig, choices: Mapping[str, Any]) -> RunFolder:
    """`<paths.runs>/<dataset>/<group>/seed<k>`.

    Args:
        config: of the run, without the node `hydra`.
        choices: choice of every group, `hydra.runtime.choices`.

    Raises:
        ConfigurationError: a key that names the folder is missing or invalid.
    """
    check_folder_keys(config, choices)
    dataset = dataset_name(config.dataset, choices["dataset"])
    group = Path(config.paths.runs, dataset, group_name(config, dict(choices)))
    return RunFolder(group / f"seed{config.seed}", data_root(config))


def arguments(hydra: DictConfig | HydraConf) -> list[str]:
    """The arguments of `python main.py` that repeat one run of a sweep.

    Options that choose configuration files, such as `--config-dir`, come first, then the overrides
    of Hydra itself and those of the run.

    Args:
        hydra: configuration of Hydra in the run, `HydraConfig.get()` or the node `hydra`.
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
    own = [line for line in hydra.overrides.hydra if not _is_sweep_key(line)]
    return [*options, *own, *hydra.overrides.task]


def _is_sweep_key(override: str) -> bool:
    key = re.split(r"[=@]", override.lstrip("+~"), maxsplit=1)[0]
    _, part, *_ = [*re.split(r"[./]", key), ""]
    return part in SWEEP_KEYS


class Composed(NamedTuple):
    """A composed run: configuration, folder, choices of the groups, command line arguments."""

    config: DictConfig
    folder: RunFolder
    choices: Mapping[str, Any]
    arguments: list[str]


def compose(loader: ConfigLoader, sweep: DictConfig, overrides: Sequence[str]) -> Composed:
    """Compose one job of a sweep.

    Args:
        loader: loads the configuration files of the sweep.
        sweep: configuration of the sweep itself.
        overrides: of this job.
    """
    composed = loader.load_sweep_config(sweep, list(overrides))
    config = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    choices = composed.hydra.runtime.choices
    return Composed(config, run_folder(config, choices), choices, arguments(composed.hydra))
