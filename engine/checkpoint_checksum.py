"""The checksum inside a checkpoint: no bit of the file can change unnoticed.

Such a file is a zip archive. It ends with the length of a comment, two bytes, and the comment,
which torch and every zip program pass over. The comment holds the SHA-256 of all bytes before
these two.
"""

import hashlib
import os
from typing import BinaryIO

END, END_SIZE = b"PK\x05\x06", 22  # the last record of an archive, without its comment
NAME = b"sha256:"
LENGTH = len(NAME) + 64  # of the comment
CHUNK = 2**20


def append_checksum(file: BinaryIO) -> None:
    """Add the checksum to the archive that `file`, open for reading and writing, holds."""
    size = file.seek(-2, os.SEEK_END)
    if file.read() != b"\0\0":
        raise ValueError("the archive has a comment already")
    checksum = _checksum(file, size)
    file.seek(size)
    file.write(LENGTH.to_bytes(2, "little") + checksum)


def has_checksum(file: BinaryIO) -> bool:
    """Whether the archive was given a checksum; one without ends with an empty comment."""
    file.seek(0)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - END_SIZE))
    end = file.read()
    return not (end.startswith(END) and end.endswith(b"\0\0"))


def verify_checksum(file: BinaryIO) -> None:
    """Compare the archive with its checksum.

    Raises:
        ValueError: it has changed since the checksum was added.
    """
    size = file.seek(0, os.SEEK_END) - LENGTH - 2
    file.seek(max(0, size))
    comment = file.read()[2:]
    if size < 0 or comment != _checksum(file, size):
        raise ValueError("it fails its checksum")


def _checksum(file: BinaryIO, size: int) -> bytes:
    """Of the first `size` bytes, as the comment has it."""
    digest = hashlib.sha256()
    file.seek(0)
    for start in range(0, size, CHUNK):
        digest.update(file.read(min(CHUNK, size - start)))
    return NAME + digest.hexdigest().encode()
