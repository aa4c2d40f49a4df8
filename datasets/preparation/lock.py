"""A file that one process at a time works on."""

import fcntl
from typing import IO

from datasets.table import DatasetError


def lock_file(file: IO[bytes], *, wait: bool = False) -> None:
    """Keep other processes that hold it from the file, for as long as it is open.

    Args:
        wait: for a process that holds it, until it lets go or dies.

    Raises:
        DatasetError: another process holds it, and it should not be waited for.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise DatasetError(f"another process is at work on {file.name}") from None
