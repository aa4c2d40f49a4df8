"""Ignored items in compiled code: the gallery items that a query does not rank."""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from evaluation.search.ignored_items import IgnoredItems
from evaluation.search.two_stage.low_precision import Bits, float_to_bits

Indices = NDArray[np.int64]


class Ignored(NamedTuple):
    """Ignored items: query q ignores `positions[first[q] : first[q] + size[q]]`, its own group."""

    positions: Indices  # gallery positions, group by group
    first: Indices  # (Q,)
    size: Indices  # (Q,)
    query_group: Indices  # (Q,)
    gallery_group: Indices  # (M,)


def to_arrays(items: IgnoredItems) -> Ignored:
    """The ignored items as arrays."""
    columns = (*items.by_group, items.query_group, items.gallery_group)
    return Ignored(*(column.numpy() for column in columns))


def nothing_ignored(num_queries: int, num_items: int) -> Ignored:
    """No query ignores any item."""
    no_group = np.full(num_queries, -1)
    none = np.zeros(num_queries, np.int64)
    return Ignored(none[:0], none, none, no_group, np.zeros(num_items, np.int64))


@numba.njit(nogil=True, cache=True)
def clear_ignored(bits: Bits, shift: int, query: int, ignored: Ignored) -> None:
    """Set the similarities (M,) of the items that the query ignores to -inf."""
    start = ignored.first[query]
    for item in ignored.positions[start : start + ignored.size[query]]:
        bits[item] = float_to_bits(-np.inf, shift)


@numba.njit(nogil=True, cache=True)
def is_ignored(query: int, item: int, ignored: Ignored) -> bool:
    """Whether the query ignores the gallery item."""
    return bool(ignored.gallery_group[item] == ignored.query_group[query])
