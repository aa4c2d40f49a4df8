"""Chunks: computes rows in chunks that fit a memory budget, halved when memory runs out."""

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

log = logging.getLogger(__name__)

MEMORY = 512 * 2**20  # bytes of working memory, the default of every search in this package

Part = TypeVar("Part")


def in_chunks(
    compute: Callable[[slice, Tensor], Part],
    total: int,
    *,
    width: int,
    like: Tensor,
    memory: int,
    extra: int = 0,
) -> Iterator[tuple[slice, Part]]:
    """Yield `(rows, compute(rows, workspace))` for consecutive slices of `range(total)`.

    The workspace holds `width` numbers per row, of the dtype and on the device of `like`. It is
    allocated once, because the allocation of new pages takes longer than the matrix product. If
    memory runs out, the chunk is halved, down to a single row.

    Args:
        compute: called with a slice of rows and the workspace of these rows.
        total: number of rows.
        memory: working memory in bytes; a single row may exceed it.
        extra: bytes per row that `compute` allocates besides the workspace.
    """
    rows = max(1, min(total, memory // (width * like.element_size() + extra)))
    workspace: Tensor | None = None
    start = 0
    while start < total:
        part = slice(start, min(start + rows, total))
        try:
            if workspace is None:
                workspace = like.new_empty(rows, width)
            computed = compute(part, workspace[: part.stop - part.start])
        except (RuntimeError, MemoryError) as error:
            if rows == 1 or not out_of_memory(error):
                raise
            workspace = None  # before the next attempt allocates
            rows = (rows + 1) // 2
            log.warning("out of memory: going on with chunks of %d rows", rows)
        else:
            yield part, computed
            start = part.stop


def out_of_memory(error: Exception) -> bool:
    """Whether the error of torch or NumPy means that memory ran out."""
    error_types = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, error_types) or "can't allocate memory" in str(error)
