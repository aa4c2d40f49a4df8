"""How a dataset comes to be on disk: it is there, or it is fetched if that was asked for."""

from collections.abc import Callable
from pathlib import Path

import yaml
from hydra.utils import instantiate
from omegaconf import DictConfig

from datasets.preparation.archive import Archive
from datasets.table import DatasetError, Table
from engine.config.run_name import CONF
from engine.progress import busy, transfer


def read_or_download(dataset: DictConfig, name: str, root: str | None, *, download: bool) -> Table:
    """The table of what is on disk, whatever its numbers; fetched first if it is missing."""
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
    """Where a dataset can be had; nowhere, if its authors give it out in another way."""
    file = CONF / "download" / f"{name}.yaml"
    return [Archive(**one) for one in yaml.safe_load(file.read_text())] if file.exists() else []


def read_table(dataset: DictConfig) -> Table:
    any_number = {"counts": None} if "counts" in dataset else {}
    read: Callable[[], Table] = instantiate(dataset, **any_number, _convert_="all", _partial_=True)
    return read()  # here, so that Hydra does not wrap the error


def fetch(archive: Archive, root: Path) -> None:
    if archive.unpacked(root):
        return
    with transfer(f"downloading {archive.file}") as show:
        archive.download(root, show)
    with busy(f"unpacking {archive.file}"):
        archive.unpack(root)
