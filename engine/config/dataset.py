"""Name and data folder of the dataset of a configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from engine.config.names import check_name

CSV = "datasets.csv.csv"


def dataset_name(dataset: Mapping[Any, Any], choice: str) -> str:
    """The name of a dataset: `dataset.name` or the stem of a CSV file; else its choice.

    Raises:
        ConfigurationError: the name cannot be the name of a folder.
    """
    if dataset.get("_target_") != CSV or "name" not in dataset:
        return choice
    path = dataset.get("path") or choice  # the path may be missing
    name = str(dataset.get("name") or Path(str(path)).stem)
    check_name("dataset.name", name)
    return name


def data_root(config: DictConfig) -> Path:
    """The data folder, which may move with all images: that of the CSV file, else `paths.data`."""
    file = config.dataset.get("path")
    folder = Path(str(file)).parent if file else Path(str(config.paths.data or ""))
    return folder.expanduser().absolute()
