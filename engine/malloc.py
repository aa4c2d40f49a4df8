"""Tuning of glibc's malloc: keeps freed host memory for the next training step."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def tune_malloc() -> None:
    """Make glibc keep up to 2 GiB of freed memory instead of returning it to the system.

    By default glibc returns every large block, such as an activation, and the system zeroes each of
    its pages when the next step allocates it again. Does nothing except on Linux with glibc.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
