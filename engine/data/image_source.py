"""From where the images of a split are read: their files, or a cache of what was read once."""

import shutil
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from datasets.cache import Cache, name_of, write
from datasets.preparation.lock import lock_file
from datasets.images import Images
from datasets.table import DatasetError
from engine.schedule import TrainingSchedule
from engine.progress import watched
from engine.config.settings import ImageSource

SAMPLE = 16  # images that are read to learn what reading costs
PAYS = 0.8  # share of the time with files that a run with a cache may take, the building included
GIB = 2**30


class Costs(NamedTuple):
    """Of one image, on average: seconds of one process, and bytes in a cache."""

    read: float  # its file, and the fixed steps
    back: float  # the same from a cache in memory
    finish: float  # the drawn steps
    size: float

    def pays(self, readings: float) -> bool:
        """Whether a cache is worth building for so many readings of every image."""
        from_files = readings * (self.read + self.finish)
        from_cache = self.read + self.back + readings * (self.back + self.finish)
        return from_cache < PAYS * from_files


class SourceConfig(NamedTuple):
    """Of a source.

    Args:
        source: as conf/trainer explains it; `auto` reads a few images and builds a cache if the
            run is shorter with it.
        caches: folder of all caches.
        limit_gib: the largest cache that `auto` builds.
        num_workers: processes that read while a cache is built.
    """

    source: ImageSource
    caches: Path
    limit_gib: float
    num_workers: int


def open_or_build_cache(
    choice: SourceConfig, train: Images, splits: Mapping[str, Images], plan: TrainingSchedule
) -> dict[str, str]:
    """Have all images of a run read from where they should be; say from where, in a few words.

    A cache holds the same pixels: it changes the time of a run and none of its results.

    Raises:
        DatasetError: an image cannot be read, or a cache that was asked for has no room.
    """
    readings = {"training": (train, plan.epoch(plan.total_steps))}
    readings |= {name: (images, plan.evaluations) for name, images in splits.items()}
    return {name: choose(choice, *of_split) for name, of_split in readings.items()}


def choose(choice: SourceConfig, images: Images, readings: float) -> str:
    """The source of one split, each of whose images will be read so many times."""
    images.on_device = choice.source == "device"
    if choice.source in ("files", "device"):
        return choice.source
    folder = choice.caches / name_of(images.paths, images.transform.fixed)
    if choice.source == "auto" and not folder.exists():
        costs = costs_of(images)
        gib = costs.size * len(images) / GIB
        if not costs.pays(readings) or gib > min(choice.limit_gib, room(choice.caches)):
            return f"files, {1000 * (costs.read + costs.finish):.1f} ms per image"
    images.cache = cache_of(images, folder, choice.num_workers)
    return f"cache {folder.name}"


def costs_of(images: Images) -> Costs:
    """Measured on a few images from all over the split; draws nothing that would be missed."""
    images.prepared(0)  # opens what stays open
    chosen = np.linspace(0, len(images) - 1, min(SAMPLE, len(images))).astype(int).tolist()
    started = time.perf_counter()
    arrays = [np.asarray(images.prepared(number)) for number in chosen]
    read = time.perf_counter()
    for array in arrays:
        zlib.crc32(array.tobytes())
        Image.fromarray(array).copy()
    back = time.perf_counter()
    for number in chosen:
        images[number, 0]
    whole = time.perf_counter() - back
    n = len(chosen)
    size = sum(array.nbytes for array in arrays) / n
    reading = (read - started) / n
    return Costs(reading, (back - read) / n, max(0.0, whole / n - reading), size)


def room(folder: Path) -> float:
    """GiB that may be taken where `folder` is or will be: half of what is free."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free / GIB / 2


def cache_of(images: Images, folder: Path, num_workers: int) -> Cache:
    """The cache at `folder`, built unless it exists; of several processes, by the first."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("ab") as lock:
            lock_file(lock, wait=True)
            if not folder.exists():
                remove_abandoned(folder.parent)
                loader = DataLoader(
                    Prepared(images), batch_size=None, num_workers=num_workers, collate_fn=as_it_is
                )
                write(folder, watched(loader, len(images), "keeping images"))
    return Cache(folder)


def remove_abandoned(caches: Path) -> None:
    """Remove what processes that were killed left of caches; what one is writing now is locked."""
    for part in caches.glob("*.part"):
        with part.with_suffix(".lock").open("ab") as lock, suppress(DatasetError):
            lock_file(lock)
            shutil.rmtree(part, ignore_errors=True)


class Prepared(Dataset[np.ndarray]):
    """The images of a split after the fixed steps, uint8 (height, width, 3)."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.asarray(self.images.prepared(index))


def as_it_is(array: Any) -> Any:  # noqa: ANN401
    return array
