"""Evaluated split: the images that a command about a finished run evaluates."""

import logging
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from datasets.images import Images
from datasets.table import DatasetError, Table
from engine.build import load_table, splits_of
from engine.config.dataset import data_root, dataset_of
from engine.data.identity import comparable_table, read_recorded_table, table_difference
from tracking.run_folder import RunFolder

log = logging.getLogger(__name__)


def evaluated_split(config: DictConfig, run: Path | None = None) -> Images:
    """The split to evaluate; setting training images aside does not concern a test split.

    Args:
        config: of the evaluation.
        run: warn if the split is not what it was in this run.
    """
    if config.split == "test":
        table = instantiate(config.dataset, _convert_="all")
    else:
        table = load_table(config)
    splits = splits_of(table, [config.split], instantiate(config.transform).eval)
    if config.split not in splits:
        there = ", ".join(sorted(table["split"].unique()))
        raise DatasetError(f"{dataset_of(config)} has no split {config.split}; it has {there}")
    if run is not None and (changed := change_since(run, config, table)) is not None:
        log.warning("the data are not those of %s: %s", run, changed)
    return splits[config.split]


def change_since(run: Path, config: DictConfig, table: Table) -> str | None:
    """What differs in the split that is evaluated from what it was in the run."""
    folder = RunFolder(run, data_root(config))
    before = read_recorded_table(folder)
    if before is None:
        return None
    now = comparable_table(table[table["split"] == config.split], folder.data_root)
    return table_difference(before[before["split"] == config.split].reset_index(drop=True), now)
