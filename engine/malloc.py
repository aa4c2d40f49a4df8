"""Tuning of glibc's malloc: keeps freed host memory for the next training step."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def tune_malloc() -> None:
    """Have glibc keep what is freed, up to 2 GiB, instead of giving it back to the system.

    By default every large block is returned at once and comes back page by page, each zeroed by the
    system: the activations of every step. Elsewhere than on Linux with glibc this does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
