"""Name and data folder of the dataset of a configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from datasets.embedded import omniglot_root
from engine.config.names import check_name

NAMED_BY_PATH = ("datasets.csv.csv", "datasets.folder.folder")
EMBEDDED = "datasets.omniglot_small.omniglot_small"


def dataset_name(dataset: Mapping[Any, Any], choice: str) -> str:
    """The name of a dataset: `dataset.name`, or that of a CSV file or folder; else its choice.

    Raises:
        ConfigurationError: the name cannot be the name of a folder.
    """
    if dataset.get("_target_") not in NAMED_BY_PATH or "name" not in dataset:
        return choice
    path = dataset.get("path") or choice  # the path may be missing
    name = str(dataset.get("name") or Path(str(path)).stem)
    check_name("dataset.name", name)
    return name


def dataset_of(config: DictConfig) -> str:
    """The name of the dataset of a run, whose choice is the name of its function."""
    return dataset_name(config.dataset, str(config.dataset._target_).rpartition(".")[2])


def data_root(config: DictConfig) -> Path:
    """The data folder, which may move with all images.

    It is the parent of `dataset.path`, the folder of an embedded dataset, or `paths.data`.
    """
    if path := config.dataset.get("path"):
        return Path(str(path)).parent.expanduser().absolute()
    if config.dataset.get("_target_") == EMBEDDED:
        return omniglot_root(config.paths.data)
    return Path(str(config.paths.data or "")).expanduser().absolute()
