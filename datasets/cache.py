"""Image cache on disk: memory-mapped decoded images with checksums, complete or absent."""

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.image_path import is_inline, split_archive
from datasets.table import DatasetError
from datasets.transforms import Operation

PIXELS, INDEX = "pixels.bin", "index.npy"
ROW = np.dtype([("offset", "<i8"), ("height", "<i4"), ("width", "<i4"), ("checksum", "<u4")])


class Cache:
    """Image cache: `cache[i]` is PIL image i, of any size, read from one memory-mapped file.

    Each read compares the checksum of the image.

    Args:
        folder: as `write` leaves it.

    Raises:
        DatasetError: the files do not belong together, or an image differs from what was written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = np.load(folder / INDEX, allow_pickle=False)
        size = (folder / PIXELS).stat().st_size
        last = self.index[-1] if len(self.index) else np.zeros((), ROW)
        if size != last["offset"] + 3 * int(last["height"]) * int(last["width"]):
            raise self._damaged("its length differs from its index")

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> Image.Image:
        offset, height, width, checksum = self.index[number].item()
        pixels = self._pixels[offset : offset + 3 * height * width]
        if zlib.crc32(pixels.data) != checksum:
            raise self._damaged(f"image {number} fails its checksum")
        return Image.fromarray(pixels.reshape(height, width, 3))

    @cached_property
    def _pixels(self) -> np.ndarray:
        return np.memmap(self.folder / PIXELS, np.uint8, "r")

    def __reduce__(self) -> tuple[type["Cache"], tuple[Path]]:
        return Cache, (self.folder,)  # a worker maps the file itself

    def _damaged(self, how: str) -> DatasetError:
        return DatasetError(f"the cache {self.folder} is damaged, {how}: delete it to rebuild it")


def cache_name(paths: Sequence[str], operations: Sequence[Operation]) -> str:
    """Name of the cache of these images after these operations: a hash of all it depends on.

    That is the list of images, the size and the time of each file, the operations, and the versions
    of the libraries that decode and resize.
    """
    content = [
        *(version("pillow"), version("torchvision"), list(map(repr, operations))),
        [(path, *file_stamp(path)) for path in paths],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def file_stamp(path: str) -> tuple[int, int]:
    """Size and modification time of the file or archive of an image; zeros for an inline image."""
    if is_inline(path):
        return 0, 0
    archive = split_archive(path)
    try:
        found = Path(archive[0] if archive else path).stat()
    except OSError as error:
        raise DatasetError(f"cannot read the image {path}: {error}") from error
    return found.st_size, found.st_mtime_ns


def write(folder: Path, images: Iterable[np.ndarray]) -> None:
    """Write a cache of images (height, width, 3), uint8, to `folder`, which appears once complete.

    Only one process at a time may write it.

    Raises:
        DatasetError: the disk is full, or the folder is not writable.
    """
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        _write(part, images)
        part.replace(folder)
    except OSError as error:
        raise DatasetError(f"cannot write the image cache {folder}: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(folder: Path, images: Iterable[np.ndarray]) -> None:
    rows, offset = [], 0
    with (folder / PIXELS).open("wb") as file:
        for image in images:
            pixels = np.ascontiguousarray(image).reshape(-1)
            rows.append((offset, *image.shape[:2], zlib.crc32(pixels.data)))
            file.write(pixels.data)
            offset += len(pixels)
        file.flush()
        os.fsync(file.fileno())
    with (folder / INDEX).open("wb") as file:
        np.save(file, np.array(rows, ROW))
        file.flush()
        os.fsync(file.fileno())
