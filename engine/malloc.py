"""Tuning of glibc's malloc: when freed host memory is kept, and when it is returned."""

import ctypes
import sys
from collections.abc import Callable

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def tune_malloc() -> None:
    """Make glibc keep up to 2 GiB of freed memory instead of returning it to the system.

    By default glibc returns every large block, such as an activation, and the system zeroes each of
    its pages when the next step allocates it again. Does nothing except on Linux with glibc.
    """
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> None:
    """Return freed memory to the system, before worker processes are forked.

    A fork shares all pages of the process, the freed ones, too: what the process then writes to
    them is copied, and takes memory twice. Does nothing except on Linux with glibc.
    """
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    """A function of glibc; None on another system or with another library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
