"""Unpacking of one folder of an archive: regular files only, complete or absent."""

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from datasets.table import DatasetError

DAMAGED = (
    *(tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, EOFError),
    *(zipfile.BadZipFile, zlib.error, RuntimeError, ValueError),  # encrypted, unknown, nonsense
)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the folder `<folder.name>/` of a tar or zip archive to `folder`.

    Owners and the permissions of others are not restored.

    Args:
        archive: .zip, .tar, .tar.gz (.tgz), .tar.bz2 or .tar.xz.
        folder: must not exist; its parent must.

    Raises:
        DatasetError: an entry has a path outside the archive (absolute or ..) or is a link or a
            device; or the archive is damaged, or has no such folder. No files remain then.
    """
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)  # left by a killed process
    unfinished.mkdir()
    try:
        extract(archive, unfinished)
        if not (unfinished / folder.name).is_dir():
            raise DatasetError(f"{archive} holds no folder {folder.name}")
        (unfinished / folder.name).rename(folder)
    finally:
        shutil.rmtree(unfinished)


def extract(archive: Path, target: Path) -> None:
    """Extract a tar or zip archive to a folder."""
    try:
        if tarfile.is_tarfile(archive):
            extract_tar(archive, target)
        elif zipfile.is_zipfile(archive):
            extract_zip(archive, target)
        else:
            raise DatasetError(f"{archive} is neither a tar nor a zip archive")
    except DAMAGED as error:
        raise DatasetError(f"{archive} is damaged: {error}") from error


def extract_tar(file: Path, target: Path) -> None:
    """Extract a tar archive."""

    def regular(entry: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
        check(file, entry.name, is_plain=entry.isreg() or entry.isdir())
        return tarfile.data_filter(entry, path)

    with tarfile.open(file) as archive:
        archive.extractall(target, filter=regular)


def extract_zip(file: Path, target: Path) -> None:
    """Extract a zip archive."""
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 if the archive is not from Unix
            is_plain = kind in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG)
            check(file, entry.filename, is_plain=is_plain)
        archive.extractall(target)


def check(archive: Path, name: str, *, is_plain: bool) -> None:
    """Refuse an entry that may be written outside of the target.

    The `data` filter of tarfile strips a leading slash and accepts links within the target, which
    can lead outside of it before Python 3.11.13; zipfile drops `..` and writes a link as a file.

    Raises:
        DatasetError: the entry is a link or a device, or has an absolute path or one with `..`.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise DatasetError(f"{archive} is refused: {name!r} would lie outside its folder")
    if not is_plain:
        raise DatasetError(f"{archive} is refused: {name!r} is a link or a device")
