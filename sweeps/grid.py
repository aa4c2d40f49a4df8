"""Grid of a sweep: the run folders that its comma-separated values expand to."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from engine.config.compose import composing
from sweeps.run_config import run_folder
from tracking.run_folder import RunFolder


def declared(arguments: Sequence[str], runs: Path) -> list[RunFolder]:
    """The run folders of `python main.py -m <arguments> paths.runs=<runs>`, in its order."""
    with composing(arguments) as parsed:
        jobs = expanded(parsed.overrides, GlobalHydra.instance().config_loader())
        return [_folder(parsed.config_name, [*job, f"paths.runs='{runs}'"]) for job in jobs]


def expanded(overrides: Sequence[str], loader: ConfigLoader) -> list[list[str]]:
    """The overrides of each job: every combination of the comma-separated values."""
    parsed = OverridesParser.create(loader).parse_overrides(list(overrides))
    (jobs,) = BasicSweeper.split_arguments(parsed, None)
    return jobs


def _folder(name: str, overrides: Sequence[str]) -> RunFolder:
    composed = compose(name, overrides=list(overrides), return_hydra_config=True)
    config = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    return run_folder(config, composed.hydra.runtime.choices)
