"""Arguments of a command about a finished run: the run, its configuration, and the own keys."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from engine.config.check import check
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF
from engine.config.values import resolved_content
from engine.trained_run import NEEDED_GROUPS, TrainedRun, evaluation_config, find_run, load_config


def run_and_config(
    arguments: Sequence[str], recorded_data: bool = False, own: str = "evaluate"
) -> tuple[TrainedRun, DictConfig]:
    """The run that `run=` names, and its configuration with all other arguments applied.

    Args:
        recorded_data: see `engine.trained_run.evaluation_config`.
        own: the file of conf/ with the keys of the command.
    """
    paths = [argument.partition("=")[2] for argument in arguments if argument.startswith("run=")]
    if len(paths) != 1:
        raise ConfigurationError("name one run: run=<run folder or checkpoint>")
    trained = find_run(Path(paths[0]))
    keys = OmegaConf.load(CONF / f"{own}.yaml")
    keys.run = paths[0]
    others = [argument for argument in arguments if not argument.startswith("run=")]
    saved = OmegaConf.merge(load_config(trained.folder, trusted(others), NEEDED_GROUPS), keys)
    assert isinstance(saved, DictConfig)
    return trained, evaluation_config(saved, others, recorded_data)


def trusted(arguments: Sequence[str]) -> list[str]:
    """The packages of `trust=[...]`."""
    found: list[str] = []
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        if override.key_or_group == "trust":
            value = override.value()
            found = [str(name) for name in (value if isinstance(value, list) else [value])]
    return found


def own_content(config: DictConfig, own: Iterable[str]) -> dict[str, Any]:
    """The own keys of a command, not checked yet; all other keys are checked as those of a run.

    Raises:
        ConfigurationError: see `engine.config.values.check_values`.
    """
    keys = list(own)
    check(OmegaConf.masked_copy(config, [str(key) for key in config if key not in keys]), [])
    return resolved_content(OmegaConf.masked_copy(config, keys))
