"""A file of the web on disk: continued where it broke off, checked, whole or absent."""

import hashlib
import os
import time
from pathlib import Path
from typing import BinaryIO

from datasets.preparation.lock import lock_file
from datasets.preparation.transfer import ConnectionLostError, HttpFile, ShowProgress, length
from datasets.table import DatasetError


def download(
    url: str,
    file: Path,
    show: ShowProgress,
    *,
    size: int | None = None,
    checksum: str | None = None,
    attempts: int = 5,
    wait: float = 1.0,
) -> None:
    """Fetch `url` into `<file>.part`, which takes the name `file` once it is whole and right.

    What a broken connection or an earlier call left in the part is continued (HTTP Range), if the
    server can do that. Without a checksum an earlier call's part is not: nothing would show that
    the file has changed since.

    Args:
        url: http or https.
        file: where to; its folder must exist.
        show: is told how far it is.
        size: bytes, if known.
        checksum: `md5:<hex>`, `sha256:<hex>` or another one of hashlib's, if known.
        attempts: in a row that bring not one byte, then it gives up.
        wait: seconds before the next attempt, doubled with each one in vain.

    Raises:
        DatasetError: the server refuses, is gone for too long, or gives another file than the
            known one; or another process is writing the part.
    """
    part = file.with_name(f"{file.name}.part")
    with part.open("ab") as target:
        lock_file(target)
        if checksum is None or (size is not None and length(target) > size):
            target.truncate(0)
        if size is None or length(target) < size:
            fill(target, url, show, attempts, wait)
        target.flush()
        os.fsync(target.fileno())
        try:
            verify(part, size, checksum)
        except DatasetError:
            part.unlink()  # nothing to continue
            raise
        part.replace(file)


def verify(file: Path, size: int | None, checksum: str | None) -> None:
    """Insist on a file's size and checksum, as far as they are known."""
    found = file.stat().st_size
    if size is not None and found != size:
        raise DatasetError(f"{file} has {found:,} bytes, expected {size:,}")
    if checksum is not None:
        algorithm, _, expected = checksum.partition(":")
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, algorithm).hexdigest()
        if digest != expected:
            raise DatasetError(f"{file} has the {algorithm} {digest}, expected {expected}")


def fill(target: BinaryIO, url: str, show: ShowProgress, attempts: int, wait: float) -> None:
    """Append to the target what it lacks, over as many connections as that takes."""
    source, in_vain = HttpFile(url), 0
    while True:
        before = length(target)
        try:
            return source.append_to(target, show)
        except ConnectionLostError as error:
            in_vain = 0 if length(target) > before else in_vain + 1
            if in_vain == attempts:
                raise DatasetError(
                    f"cannot download {url}: {error}; the same command continues where it stopped"
                ) from error
            time.sleep(wait * 2**in_vain)
