"""Image reader of all datasets: any image file to RGB with 8 bits per channel."""

import base64
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from PIL import Image, ImageCms, ImageFile

from datasets.image_path import INLINE, is_inline, split_archive
from datasets.table import DatasetError

log = logging.getLogger(__name__)

SAMPLE_FORMAT, SIGNED = 339, 2  # TIFF tag and its value for signed integers


def read_image(path: str) -> Image.Image:
    """Read the image at `path` as RGB with 8 bits per channel.

    Grayscale, CMYK and L*a*b* are converted to RGB, wider numbers to 8 bits (see `to_8_bits`). An
    alpha channel is dropped and an EXIF orientation is not applied, as in all published results. Of
    several frames the first is read. A truncated image is read as far as possible (the rest is
    grey) and logged once per file.

    Args:
        path: a file, a member of an archive (`some.zip/folder/a.png`), or a `data:` URI of a PNG.

    Raises:
        DatasetError: the file is missing, damaged, too large or not an image.
    """
    with explain_read_errors(path):
        content = read_bytes(path)
        try:
            return decode(content)
        except OSError as error:
            if "truncated" not in str(error):
                raise
        report_truncated(path)
        return decode_truncated(content)


@contextmanager
def explain_read_errors(path: str) -> Iterator[None]:
    """Replace an exception of the readers of images and archives by one that names the image.

    Raises:
        DatasetError: in place of every exception except MemoryError.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DatasetError(f"cannot read the image {path[:200]}: {reason}") from error


def decode(content: bytes) -> Image.Image:
    """Decode the bytes of an image file to RGB."""
    with warnings.catch_warnings(action="ignore"):  # about metadata, which does not change pixels
        return to_rgb(Image.open(BytesIO(content)))


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to RGB with 8 bits per channel; see `read_image`."""
    with warnings.catch_warnings(action="ignore"):
        if image.mode == "F" or image.mode.startswith("I"):  # PIL would clip at 255
            image = to_8_bits(image)
        elif image.mode == "LAB":  # PIL converts it with color profiles only
            image = lab_to_rgb().apply(image)
        if "transparency" in image.info:  # of a palette; PIL warns without this conversion
            image = image.convert("RGBA")
        return image.convert("RGB")


def to_8_bits(image: Image.Image) -> Image.Image:
    """Convert a grey image of wide integers (I;16, I) or floats (F) to 8 bits.

    Integers keep their upper 8 bits: of 16, as in PNG and PGM, or, if a value of the image needs
    more, of 32, or of 31 with a sign. Floats are multiplied by 255 if none is above 1, else they
    are unchanged. Negative values and NaN become black.
    """
    values = np.asarray(image)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float64))
        scale = 255 if values.max(initial=0) <= 1 else 1
        return Image.fromarray(np.rint(np.clip(values * scale, 0, 255)).astype(np.uint8))
    signed = getattr(image, "tag_v2", {}).get(SAMPLE_FORMAT, (SIGNED,))[0] == SIGNED
    values = values.astype(np.int64)
    if not signed:
        values &= 2**32 - 1
    bits = 16 if values.max(initial=0) < 2**16 else 31 if signed else 32
    return Image.fromarray((np.clip(values, 0, None) >> bits - 8).astype(np.uint8))


@cache
def lab_to_rgb() -> ImageCms.ImageCmsTransform:
    """Color transform from L*a*b* to sRGB."""
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, rgb, "LAB", "RGB")


def decode_truncated(content: bytes) -> Image.Image:
    """Decode a truncated image file; missing pixels are grey."""
    strict = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        return decode(content)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = strict


@cache
def report_truncated(path: str) -> None:
    """Log a truncated image once."""
    log.warning("the image %s is truncated; the missing part is grey", path)


def read_bytes(path: str) -> bytes:
    """Read the bytes of an image file."""
    if is_inline(path):
        return base64.b64decode(path.removeprefix(INLINE))
    if inside := split_archive(path):
        archive, member = inside
        return open_archive(archive, os.getpid()).read(member)
    return regular_file(path).read_bytes()


def size_of(path: str) -> int:
    """Size of the file or archive member of an image in bytes; 0 of an inline image.

    Raises:
        DatasetError: the file is missing.
    """
    if is_inline(path):
        return 0
    with explain_read_errors(path):
        if inside := split_archive(path):
            archive, member = inside
            return open_archive(archive, os.getpid()).getinfo(member).file_size
        return os.stat(path).st_size  # noqa: PTH116  # faster than Path for many thousands of files


def regular_file(path: str) -> Path:
    """Path of a regular file.

    Raises:
        OSError: it is missing, or a folder, a device or a pipe, which might never end.
    """
    file = Path(path)
    if not stat.S_ISREG(file.stat().st_mode):
        raise OSError("it is not a regular file")
    return file


@lru_cache(maxsize=16)
def open_archive(path: str, process: int) -> ZipFile:  # noqa: ARG001
    """Open archive, kept for each process, because processes must not share a file position."""
    return ZipFile(regular_file(path))


def members(archive: Path) -> list[str]:
    """Names of the members of an archive.

    Raises:
        DatasetError: the archive is missing or damaged, or not an archive.
    """
    try:
        return open_archive(str(archive), os.getpid()).namelist()
    except Exception as error:  # a damaged archive raises exceptions of many kinds
        raise DatasetError(f"cannot read the archive {archive}: {error}") from error
