"""How many gallery items are at least as near as each relevant one, for many queries at once.

Numbers are compared as integers, the bits of floats put into their order: then one sorted array of
(row, number) answers for many rows.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.exact import Places, Reals
from evaluation.screen import Floats

BATCH = 2**17  # numbers sorted at a time, so that they stay in the cache

Codes = NDArray[Any]  # int16 of bfloat16, int32 of float32
Decided = NDArray[np.bool_]
Compare = Callable[[Places, Places], Reals]  # rows and items -> their true similarities


class Relevant(NamedTuple):
    """The relevant items of all rows, row by row and in each the nearest first."""

    row: Places  # 0, 1, ... without a gap
    truth: Reals  # the similarity
    low: Floats  # a screened number below is certainly less than the truth
    high: Floats  # a screened number above is certainly more


def above(
    similarity: Tensor, relevant: Relevant, compare: Compare, most_doubtful: int
) -> tuple[Places, Decided]:
    """Items at least as near as each relevant one, and of which rows this was found out.

    Args:
        similarity: (Q, M) from a screen, -inf for what does not count; is overwritten.
        most_doubtful: a row with more items that need to be compared is left undecided.
    """
    codes = codes_of(similarity)
    num_rows, width = codes.shape
    low, high = limits(relevant.low, codes.dtype), limits(relevant.high, codes.dtype)
    ends = relevant.row.searchsorted(np.arange(num_rows), "right")
    lowest = low[ends - 1]
    negative = lowest < 0
    codes[negative] = in_order(codes[negative])
    near = np.flatnonzero(codes >= lowest[:, None])
    bounds = near.searchsorted(np.arange(num_rows + 1) * width)

    counts = np.empty(len(relevant.row), dtype=np.int64)
    decided = np.ones(num_rows, dtype=bool)
    for first, last in batches(bounds):
        own = slice(ends[first - 1] if first else 0, ends[last - 1])
        part = near[bounds[first] : bounds[last]]
        row = np.repeat(np.arange(first, last), np.diff(bounds[first : last + 1]))
        keys = key(row, codes.reshape(-1)[part])
        order = keys.argsort()
        found = Found(keys[order], row[order], part[order] - row[order] * width)
        asked = Asked(
            relevant.row[own],
            relevant.truth[own],
            found.keys.searchsorted(key(relevant.row[own], low[own])),
            found.keys.searchsorted(key(relevant.row[own], high[own]), "right"),
        )
        counts[own] = bounds[asked.row + 1] - bounds[first] - asked.stop
        decided[first:last] = settle(counts[own], found, asked, compare, most_doubtful)[first:last]
    return counts, decided


class Found(NamedTuple):
    """Items that may be above, row by row, farthest first."""

    keys: Codes
    row: Places
    item: Places


class Asked(NamedTuple):
    """Relevant items, and from where to where among the found ones only the truth can tell."""

    row: Places
    truth: Reals
    start: Places
    stop: Places


def settle(
    counts: Places, found: Found, asked: Asked, compare: Compare, most_doubtful: int
) -> Decided:
    """Add to the counts the doubtful items that are truly above; False for rows with too many."""
    edges = np.bincount(asked.start, minlength=len(found.keys) + 1)
    edges -= np.bincount(asked.stop, minlength=len(found.keys) + 1)
    doubtful = np.flatnonzero(edges.cumsum()[:-1])
    num_doubtful = np.bincount(found.row[doubtful], minlength=asked.row[-1] + 1)
    decided: Decided = num_doubtful <= most_doubtful
    doubtful = doubtful[decided[found.row[doubtful]]]
    if len(doubtful):
        row, ends = found.row[doubtful], np.where(decided, num_doubtful, 0).cumsum()
        unsure = asked.start < asked.stop
        who = asked.row[unsure]
        truly = at_least(row, compare(row, found.item[doubtful]), who, asked.truth[unsure])
        counted_already = ends[who] - doubtful.searchsorted(asked.stop[unsure])
        counts[unsure] += truly - counted_already
    return decided


def at_least(row: Places, values: Reals, asked_row: Places, thresholds: Reals) -> Places:
    """How many values of the same row reach each threshold."""
    _, places = np.unique(np.concatenate([values, thresholds]), return_inverse=True)
    keys = np.sort(key(row, places[: len(row)]))
    found: Places = keys.searchsorted(key(asked_row + 1, 0))
    return found - keys.searchsorted(key(asked_row, places[len(row) :]))


def batches(bounds: Places) -> Iterator[tuple[int, int]]:
    """First and last row of parts with about `BATCH` numbers, from where each row begins."""
    cuts = np.flatnonzero(np.diff(bounds[1:] // BATCH)) + 1
    edges = [0, *cuts.tolist(), len(bounds) - 1]
    return pairwise(edges)


def key(row: Places, code: Codes | int) -> Places:
    """One integer in the order of (row, code)."""
    return (row << 32) + code


def codes_of(similarity: Tensor) -> Codes:
    """The bits of the numbers: as integers in their order where they are not negative."""
    as_integer = torch.int16 if similarity.dtype == torch.bfloat16 else torch.int32
    codes: Codes = similarity.view(as_integer).numpy()
    return codes


def in_order(codes: Codes) -> Codes:
    """In the order of the numbers, negative ones included; the others stay as they are."""
    ordered: Codes = codes ^ ((codes >> (8 * codes.itemsize - 1)) & np.iinfo(codes.dtype).max)
    return ordered


def limits(numbers: Floats, precision: "np.dtype[Any]") -> Codes:
    """What to compare codes with: a number below or above a limit may have its code, none other."""
    codes = in_order(numbers.view(np.int32))
    return codes if precision == np.int32 else (codes >> 16).astype(np.int16)
