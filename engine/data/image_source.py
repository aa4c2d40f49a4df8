"""From where the images of a split are read: their files, or a cache of what was read once."""

import logging
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from omegaconf import DictConfig
from torch.utils.data import DataLoader, Dataset

from core.process_rank import is_first_process
from datasets.cache import Cache, cache_name, write
from datasets.images import Images
from engine.config.settings import ImageSource
from engine.progress import watched

log = logging.getLogger(__name__)


class SourceConfig(NamedTuple):
    """A source and what it needs.

    Args:
        source: `files` reads and decodes each image each time; `cache` decodes every image once;
            `device` decodes on the GPU.
        caches: folder of all caches.
        num_workers: processes that read while a cache is built.
    """

    source: ImageSource
    caches: Path
    num_workers: int


def source_of(trainer: DictConfig) -> ImageSource:
    """`trainer.source`; deprecated settings are named once and have no effect."""
    source: ImageSource = trainer.source
    if source == "auto":
        source = "files"
        _deprecate(
            "trainer.source=auto is deprecated and means files, the default; trainer.source=cache "
            "decodes every image once"
        )
    if trainer.cache_gib is not None:
        _deprecate(
            "trainer.cache_gib is deprecated and has no effect; a cache is as large as it is"
        )
    return source


def _deprecate(message: str) -> None:
    if is_first_process():
        log.warning(message)


def open_or_build_cache(
    choice: SourceConfig, train: Images, splits: Mapping[str, Images]
) -> dict[str, str]:
    """Read all images of a run from the chosen source; returns the source of each split as text.

    A cache holds the same pixels: it changes the time of a run and none of its results.

    Raises:
        DatasetError: an image cannot be read, or the disk has no room for a cache.
    """
    return {name: choose(choice, images) for name, images in {"training": train, **splits}.items()}


def choose(choice: SourceConfig, images: Images) -> str:
    """Read the images of one split from the chosen source; returns it as text."""
    images.on_device = choice.source == "device"
    if choice.source != "cache":
        return choice.source
    folder = choice.caches / cache_name(images.paths, images.transform.deterministic)
    images.cache = cache_of(images, folder, choice.num_workers)
    return f"cache {folder.name}"


def cache_of(images: Images, folder: Path, num_workers: int) -> Cache:
    """The cache at `folder`, built unless it exists; of several processes, the first builds it."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                remove_abandoned(folder.parent)
                loader = DataLoader(
                    Prepared(images), batch_size=None, num_workers=num_workers, collate_fn=as_it_is
                )
                write(folder, watched(loader, len(images), "keeping images"))
    return Cache(folder)


def remove_abandoned(caches: Path) -> None:
    """Remove the unfinished caches of killed processes; a cache that is being written is locked."""
    for part in caches.glob("*.part"):
        with suppress(Timeout), FileLock(part.with_suffix(".lock"), timeout=0):
            shutil.rmtree(part, ignore_errors=True)


class Prepared(Dataset[np.ndarray]):
    """The images of a split after the deterministic operations, uint8 (height, width, 3)."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.asarray(self.images.prepared(index))


def as_it_is(array: Any) -> Any:  # noqa: ANN401
    return array
