"""One reader for every image of every dataset."""

import base64
import logging
import os
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from PIL import Image, ImageFile

from datasets.table import DatasetError

log = logging.getLogger(__name__)

INLINE = "data:image/png;base64,"


def read_image(path: str) -> Image.Image:
    """The image at `path` as RGB, 8 bits per channel.

    Grayscale and CMYK become RGB, 16 bits become 8, an alpha channel is dropped and an EXIF
    orientation is not applied: the pixels that every published result was trained on. A truncated
    image is read as far as it goes (the rest is grey) and the log says so once per file.

    Args:
        path: a file, a member of an archive (`some.zip/folder/a.png`), or a `data:` URI of a PNG.

    Raises:
        DatasetError: naming the file that is missing or is no image.
    """
    try:
        content = read_bytes(path)
        try:
            return decode(content)
        except OSError as error:
            if "truncated" not in str(error):
                raise
        report_truncated(path)
        return decode_truncated(content)
    except (OSError, KeyError, ValueError, SyntaxError) as error:
        raise DatasetError(f"cannot read the image {path[:200]}: {error}") from error


def decode(content: bytes) -> Image.Image:
    image: Image.Image = Image.open(BytesIO(content))
    if image.mode.startswith("I;16"):  # PIL would clip at 255 instead of scaling
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if "transparency" in image.info:  # of a palette; PIL asks for the detour
        image = image.convert("RGBA")
    return image.convert("RGB")


def decode_truncated(content: bytes) -> Image.Image:
    strict = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        return decode(content)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = strict


@cache
def report_truncated(path: str) -> None:
    log.warning("the image %s is truncated; the missing part is grey", path)


def read_bytes(path: str) -> bytes:
    if is_inline(path):
        return base64.b64decode(path.removeprefix(INLINE))
    if inside := split_archive(path):
        archive, member = inside
        return open_archive(archive, os.getpid()).read(member)
    return Path(path).read_bytes()


def is_inline(path: str) -> bool:
    return path.startswith(INLINE)


def split_archive(path: str) -> tuple[str, str] | None:
    """`a/b.zip/c/d.png` -> (`a/b.zip`, `c/d.png`); None for a plain file."""
    archive, separator, member = path.partition(".zip/")
    return (f"{archive}.zip", member) if separator else None


@lru_cache(maxsize=16)
def open_archive(path: str, process: int) -> ZipFile:  # noqa: ARG001
    """An archive stays open; each process has its own, a shared file position would mix them up."""
    return ZipFile(path)
