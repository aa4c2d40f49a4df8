"""Checksum inside a checkpoint: detects every change of the file.

A checkpoint is a zip archive. A zip archive ends with the length of a comment, two bytes, and the
comment, which torch and zip programs ignore. The comment holds the SHA-256 of all bytes before
the length.
"""

import hashlib
import os
from typing import BinaryIO

END, END_SIZE = b"PK\x05\x06", 22  # the last record of an archive, without its comment
NAME = b"sha256:"
LENGTH = len(NAME) + 64  # bytes of the comment
CHUNK = 2**20


def append_checksum(file: BinaryIO) -> None:
    """Append the checksum to an archive that is open for reading and writing."""
    size = file.seek(-2, os.SEEK_END)
    if file.read() != b"\0\0":
        raise ValueError("the archive has a comment already")
    checksum = _checksum(file, size)
    file.seek(size)
    file.write(LENGTH.to_bytes(2, "little") + checksum)


def has_checksum(file: BinaryIO) -> bool:
    """Whether the archive has a checksum; without one its comment is empty."""
    file.seek(0)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - END_SIZE))
    end = file.read()
    return not (end.startswith(END) and end.endswith(b"\0\0"))


def verify_checksum(file: BinaryIO) -> None:
    """Compare the archive with its checksum.

    Raises:
        ValueError: the archive has changed since the checksum was added.
    """
    size = file.seek(0, os.SEEK_END) - LENGTH - 2
    file.seek(max(0, size))
    comment = file.read()[2:]
    if size < 0 or comment != _checksum(file, size):
        raise ValueError("it fails its checksum")


def _checksum(file: BinaryIO, size: int) -> bytes:
    """The checksum of the first `size` bytes, in the form of the comment."""
    digest = hashlib.sha256()
    file.seek(0)
    for start in range(0, size, CHUNK):
        digest.update(file.read(min(CHUNK, size - start)))
    return NAME + digest.hexdigest().encode()
