"""Image source: reads the images of a split from their files or from a cache of decoded images."""

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
from engine.config.settings import ImageSource, Progress
from engine.progress import progress_bar

log = logging.getLogger(__name__)


class SourceConfig(NamedTuple):
    """Settings of an image source.

    Args:
        source: `files` decodes an image whenever it is used; `cache` decodes every image once;
            `device` decodes on the GPU.
        caches: the folder of all caches.
        num_workers: number of processes that read images while a cache is built.
        progress: how the progress of that is shown.
    """

    source: ImageSource
    caches: Path
    num_workers: int
    progress: Progress = "auto"


def source_of(trainer: DictConfig) -> ImageSource:
    """The image source of `trainer.source`; deprecated settings log a warning."""
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
    config: SourceConfig, train: Images, splits: Mapping[str, Images]
) -> dict[str, str]:
    """Set the image source of every split; returns the sources as text.

    A cache holds the same pixels: it changes the time of a run, but not its results.

    Raises:
        DatasetError: an image cannot be read, or the disk has no room for a cache.
    """
    return {
        name: select_source(config, images)
        for name, images in {"training": train, **splits}.items()
    }


def select_source(config: SourceConfig, images: Images) -> str:
    """Set the image source of one split; returns it as text."""
    images.on_device = config.source == "device"
    if config.source != "cache":
        return config.source
    folder = config.caches / cache_name(images.paths, images.transform.deterministic)
    images.cache = open_cache(images, folder, config)
    return f"cache {folder.name}"


def open_cache(images: Images, folder: Path, config: SourceConfig) -> Cache:
    """The cache at `folder`; the first process that finds none builds it, the others wait."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                remove_abandoned(folder.parent)
                loader = DataLoader(
                    DecodedImages(images),
                    batch_size=None,
                    num_workers=config.num_workers,
                    collate_fn=uncollated,
                )
                shown = progress_bar(loader, len(images), "caching images", config.progress)
                write(folder, shown)
    return Cache(folder)


def remove_abandoned(caches: Path) -> None:
    """Remove the unfinished caches of killed processes; a cache that is being written is locked."""
    for part in caches.glob("*.part"):
        with suppress(Timeout), FileLock(part.with_suffix(".lock"), timeout=0):
            shutil.rmtree(part, ignore_errors=True)


class DecodedImages(Dataset[np.ndarray]):
    """Dataset of the images of a split after the deterministic transforms, uint8 (H, W, 3)."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.asarray(self.images.prepared(index))


def uncollated(array: Any) -> Any:  # noqa: ANN401
    """The array itself; the default of the loader would convert it to a tensor."""
    return array
