"""A folder out of an archive: plain files only, below that folder only, whole or absent."""

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from datasets.preparation.lock import lock_file
from datasets.table import DatasetError

DAMAGED = (
    *(tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, EOFError),
    *(zipfile.BadZipFile, zlib.error, RuntimeError, ValueError),  # encrypted, unheard-of, senseless
)


class Member(NamedTuple):
    """One entry of an archive; one that is neither a file nor a folder is a link or a device."""

    name: str
    is_file: bool
    is_folder: bool
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, folder: Path) -> None:
    """Write what a tar or zip archive holds below `<folder.name>/` to `folder`.

    The files are written one by one into a new, empty folder: what an archive says about owners,
    permissions and links is not even asked for.

    Args:
        archive: .zip, .tar, .tar.gz (.tgz), .tar.bz2 or .tar.xz.
        folder: must not exist; its parent must.

    Raises:
        DatasetError: an entry lies elsewhere (absolute or ..) or is a link or a device; the
            archive is damaged, or has no such folder; or another process unpacks it. Nothing
            remains of what was written.
    """
    fresh = folder.with_name(f".{folder.name}.part")
    with archive.open("rb") as file:
        lock_file(file)
        shutil.rmtree(fresh, ignore_errors=True)  # of a call that was killed
        fresh.mkdir()
        try:
            write_all(archive, fresh)
            if not (fresh / folder.name).is_dir():
                raise DatasetError(f"{archive} holds no folder {folder.name}")
            (fresh / folder.name).rename(folder)
        finally:
            shutil.rmtree(fresh)


def write_all(archive: Path, fresh: Path) -> None:
    try:
        for member in members(archive):
            write(member, fresh, archive)
    except DAMAGED as error:
        raise DatasetError(f"{archive} is damaged: {error}") from error


def members(archive: Path) -> Iterator[Member]:
    if tarfile.is_tarfile(archive):
        return tar_members(archive)
    if zipfile.is_zipfile(archive):
        return zip_members(archive)
    raise DatasetError(f"{archive} is neither a tar nor a zip archive")


def tar_members(file: Path) -> Iterator[Member]:
    with tarfile.open(file) as archive:
        for info in archive:
            read = partial(archive.extractfile, info)
            yield Member(info.name, info.isreg(), info.isdir(), read)


def zip_members(file: Path) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where Unix did not make it
            plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            folder = info.is_dir()
            yield Member(
                info.filename, plain and not folder, plain and folder, partial(archive.open, info)
            )


def write(member: Member, fresh: Path, archive: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise DatasetError(f"{archive} is refused: {member.name!r} would lie outside its folder")
    if member.is_folder:
        (fresh / name).mkdir(parents=True, exist_ok=True)
    elif member.is_file:
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        content = member.open()
        assert content is not None  # of a file
        with content, (fresh / name).open("wb") as target:
            shutil.copyfileobj(content, target, 1 << 20)
    else:
        raise DatasetError(f"{archive} is refused: {member.name!r} is a link or a device")
