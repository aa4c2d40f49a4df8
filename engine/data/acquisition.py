"""Acquisition of a dataset: reads it from the disk, after a download if one is requested."""

from collections.abc import Callable
from pathlib import Path

import yaml
from hydra.utils import instantiate
from omegaconf import DictConfig

from datasets.preparation.archive import Archive
from datasets.table import DatasetError, Table
from engine.config.run_name import CONF
from engine.progress import spinner, transfer_bar


def read_or_download(dataset: DictConfig, name: str, root: str | None, *, download: bool) -> Table:
    """The table of the images on disk, whatever their number; `download` fetches missing ones."""
    archives = archives_of(name)
    try:
        return read_table(dataset)
    except DatasetError as missing:
        if download and not archives:
            raise DatasetError(
                f"{name} cannot be downloaded by this command: {missing}"
            ) from missing
        if archives and not download:
            raise DatasetError(f"{missing} Or say download=true.") from missing
        if not download or root is None:
            raise
    for archive in archives:
        fetch(archive, Path(root).expanduser())
    return read_table(dataset)


def archives_of(name: str) -> list[Archive]:
    """The archives of a dataset; none if its authors do not offer a direct download."""
    file = CONF / "download" / f"{name}.yaml"
    return [Archive(**one) for one in yaml.safe_load(file.read_text())] if file.exists() else []


def read_table(dataset: DictConfig) -> Table:
    """The table of a dataset, without the check of its number of images."""
    any_number = {"counts": None} if "counts" in dataset else {}
    read: Callable[[], Table] = instantiate(dataset, **any_number, _convert_="all", _partial_=True)
    return read()  # called here, so that Hydra does not wrap its errors


def fetch(archive: Archive, root: Path) -> None:
    """Download and unpack an archive below `root`, unless that was done before."""
    if archive.unpacked(root):
        return
    with transfer_bar(f"downloading {archive.file}") as show:
        archive.download(root, show)
    with spinner(f"unpacking {archive.file}"):
        archive.unpack(root)
