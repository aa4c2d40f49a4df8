"""One reader for every image of every dataset."""

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

SAMPLE_FORMAT, SIGNED = 339, 2  # a tag of TIFF and its value for integers with a sign


def read_image(path: str) -> Image.Image:
    """The image at `path` as RGB, 8 bits per channel.

    Grayscale, CMYK and L*a*b* become RGB, wider numbers become 8 bits (see `narrowed`), an alpha
    channel is dropped and an EXIF orientation is not applied: the pixels that every published
    result was trained on. Of several frames the first is read. A truncated image is read as far as
    it goes (the rest is grey) and the log says so once per file.

    Args:
        path: a file, a member of an archive (`some.zip/folder/a.png`), or a `data:` URI of a PNG.

    Raises:
        DatasetError: naming the file that is missing, damaged, too large or is no image.
    """
    with naming(path):
        content = read_bytes(path)
        try:
            return decode(content)
        except OSError as error:
            if "truncated" not in str(error):
                raise
        report_truncated(path)
        return decode_truncated(content)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Name the image, whatever the readers of images and archives raise.

    Raises:
        DatasetError: in the place of every exception but those of the machine's memory.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DatasetError(f"cannot read the image {path[:200]}: {reason}") from error


def decode(content: bytes) -> Image.Image:
    with warnings.catch_warnings(action="ignore"):  # of metadata, which no pixel depends on
        image: Image.Image = Image.open(BytesIO(content))
        if image.mode == "F" or image.mode.startswith("I"):  # PIL would clip at 255
            image = narrowed(image)
        elif image.mode == "LAB":  # PIL converts it by its profiles alone
            image = lab_to_rgb().apply(image)
        if "transparency" in image.info:  # of a palette; PIL asks for the detour
            image = image.convert("RGBA")
        return image.convert("RGB")


def narrowed(image: Image.Image) -> Image.Image:
    """Grey of wide integers (I;16, I) or floats (F) as 8 bits.

    Integers keep the upper 8 of their bits. These are 16 bits, as in PNG and PGM; where a value of
    the image needs more, all bits of the file, 32 or, with a sign, 31. Floats up to 1 are
    multiplied by 255, larger ones are taken as they are. Negative values and NaN are black.
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
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, rgb, "LAB", "RGB")


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
    return plain(path).read_bytes()


def size_of(path: str) -> int:
    """Bytes of the file of an image, or of the member of an archive; 0 of one in the table.

    Raises:
        DatasetError: naming the file that is missing.
    """
    if is_inline(path):
        return 0
    with naming(path):
        if inside := split_archive(path):
            archive, member = inside
            return open_archive(archive, os.getpid()).getinfo(member).file_size
        return os.stat(path).st_size  # noqa: PTH116  # there are tens of thousands of them


def plain(path: str) -> Path:
    """A file that has an end.

    Raises:
        OSError: there is none, or it is a folder, a device or a pipe, which might never end.
    """
    file = Path(path)
    if not stat.S_ISREG(file.stat().st_mode):
        raise OSError("it is no plain file")
    return file


@lru_cache(maxsize=16)
def open_archive(path: str, process: int) -> ZipFile:  # noqa: ARG001
    """An archive stays open; each process has its own, a shared file position would mix them up."""
    return ZipFile(plain(path))


def members(archive: Path) -> list[str]:
    """The names of what an archive holds.

    Raises:
        DatasetError: naming the archive that is missing, damaged or none.
    """
    try:
        return open_archive(str(archive), os.getpid()).namelist()
    except Exception as error:  # a damaged one raises what it pleases
        raise DatasetError(f"cannot read the archive {archive}: {error}") from error
