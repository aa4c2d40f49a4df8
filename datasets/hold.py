"""A file that one process at a time works on."""

import fcntl
from typing import IO

from datasets.table import DatasetError


def hold(file: IO[bytes]) -> None:
    """Keep other processes that hold it from the file, for as long as it is open.

    Raises:
        DatasetError: another process holds it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DatasetError(f"another process is at work on {file.name}") from None
