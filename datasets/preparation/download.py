"""Download of a file: resumed after a broken connection, verified, complete or absent.

pooch is not used, because it requests all bytes again after a broken connection, and deletes the
temporary file of a custom downloader on failure, so that no later call can resume.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import BinaryIO

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
    """Download `url` to `<file>.part`, which is renamed to `file` once its content is verified.

    The part of a broken connection or an earlier call is resumed (HTTP Range), if the server
    supports it. Without a checksum the part of an earlier call is discarded, because nothing would
    detect that the file has changed since.

    Args:
        url: http or https.
        file: the target; its folder must exist, and no other process may download to it.
        show: called with the number of bytes so far and in total.
        size: bytes, if known.
        checksum: `md5:<hex>`, `sha256:<hex>` or another one of hashlib's, if known.
        attempts: consecutive attempts without a single byte after which the download fails.
        wait: seconds before the next attempt, doubled after each attempt without a byte.

    Raises:
        DatasetError: the server refuses or does not answer, or the size or the checksum of the
            file is wrong.
    """
    part = file.with_name(f"{file.name}.part")
    with part.open("ab") as target:
        if checksum is None or (size is not None and length(target) > size):
            target.truncate(0)
        if size is None or length(target) < size:
            fill(target, url, show, attempts, wait)
        target.flush()
        os.fsync(target.fileno())
        try:
            verify(part, size, checksum)
        except DatasetError:
            part.unlink()  # nothing to resume
            raise
        part.replace(file)


def verify(file: Path, size: int | None, checksum: str | None) -> None:
    """Check the size and the checksum of a file, if known.

    Raises:
        DatasetError: one of them differs.
    """
    actual = file.stat().st_size
    if size is not None and actual != size:
        raise DatasetError(f"{file} has {actual:,} bytes, expected {size:,}")
    if checksum is not None:
        algorithm, _, expected = checksum.partition(":")
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, algorithm).hexdigest()
        if digest != expected:
            raise DatasetError(f"{file} has the {algorithm} {digest}, expected {expected}")


def fill(target: BinaryIO, url: str, show: ShowProgress, attempts: int, wait: float) -> None:
    """Append the missing bytes to the target, with as many connections as necessary."""
    source, failures = HttpFile(url), 0
    while True:
        before = length(target)
        try:
            return source.append_to(target, show)
        except ConnectionLostError as error:
            failures = 0 if length(target) > before else failures + 1
            if failures == attempts:
                raise DatasetError(
                    f"cannot download {url}: {error}; the same command continues where it stopped"
                ) from error
            time.sleep(wait * 2**failures)
