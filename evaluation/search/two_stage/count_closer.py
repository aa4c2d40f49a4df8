"""Count of closer items: number of irrelevant gallery items as near as each relevant item."""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from evaluation.search.two_stage.ignored import Ignored, clear_ignored, is_ignored
from evaluation.search.two_stage.low_precision import (
    Bits,
    Bound,
    Float32,
    any_at_least,
    bits_to_float,
    float_to_bits,
    lower_limit,
    lowest_bits,
    upper_limit,
)
from evaluation.search.two_stage.similarity import Points, similarity

BLOCK = 64  # similarities that are compared with the lowest limit at once
NUM_BUCKETS = 512  # size of the table from a similarity to the first limit that it may not exceed

MAX_FLOAT32 = float(np.finfo(np.float32).max)

Indices = NDArray[np.int64]


class RelevantItems(NamedTuple):
    """Relevant items: of_class[first[q] : first[q] + size[q]] is the class of query q."""

    of_class: Indices  # gallery positions, class by class
    first: Indices  # (Q,)
    size: Indices  # (Q,)
    ignored: Ignored


@numba.njit(nogil=True, cache=True)
def write_ranks(
    bits: Bits,
    shift: int,
    selected: Indices,
    points: Points,
    relevant: RelevantItems,
    bound: Bound,
    ranks: Indices,
) -> int:
    """Write the ranks of the relevant items of each selected query, ascending, into its row.

    Args:
        bits: bits of the similarities (Q, M) in low precision; overwritten.
        shift: see `bits_to_float`.
        ranks: (Q, R); entries after the relevant items are not changed.

    Returns:
        the number of ambiguous items, which were compared in float64.
    """
    ambiguous = 0
    first_threshold = np.empty(NUM_BUCKETS, np.int64)
    for row in range(len(selected)):
        query = selected[row]
        exact = exact_similarities(bits[row], shift, query, points, relevant)
        counts = np.zeros(len(exact), np.int64)
        ambiguous += count_closer(
            bits[row], shift, query, points, exact, bound, first_threshold, counts
        )
        ranks[row, : len(exact)] = counts[::-1] + np.arange(1, len(exact) + 1)
    return ambiguous


@numba.njit(nogil=True, cache=True)
def exact_similarities(
    bits: Bits, shift: int, query: int, points: Points, relevant: RelevantItems
) -> NDArray[np.float64]:
    """Exact similarities of the relevant items, ascending.

    Sets the bits of the class and of ignored items to -inf.
    """
    clear_ignored(bits, shift, query, relevant.ignored)
    exact = np.empty(relevant.size[query])
    count = 0
    start = relevant.first[query]
    for item in relevant.of_class[start : start + relevant.size[query]]:
        bits[item] = float_to_bits(-np.inf, shift)
        if not is_ignored(query, item, relevant.ignored):
            exact[count] = similarity(points, query, item)
            count += 1
    return np.sort(exact[:count])


@numba.njit(nogil=True, cache=True)
def count_closer(
    bits: Bits,
    shift: int,
    query: int,
    points: Points,
    exact: NDArray[np.float64],
    bound: Bound,
    first_threshold: Indices,
    counts: Indices,
) -> int:
    """Add to counts[k] the number of items at least as similar as exact[k]; exact is ascending.

    A similarity above `upper[k]` is counted, and one below `lower[k]` is not. A similarity between
    them is ambiguous and is computed again in float64.
    """
    size = len(exact)
    lower, upper = limits(exact, query, bound)
    scale = fill_bucket_table(lower[0], upper, first_threshold)
    exceeded = np.zeros(size + 1, np.int64)  # [k]: similarities above exactly k of the upper limits
    ambiguous = 0
    lowest = lowest_bits(lower[0], shift)
    for start in range(0, len(bits), BLOCK):
        block = bits[start : start + BLOCK]
        if not any_at_least(block, lowest):
            continue
        for i in range(len(block)):
            value = bits_to_float(block[i], shift)
            if value < lower[0]:
                continue
            k = first_threshold[bucket_of(value, lower[0], scale)]
            while k < size and upper[k] < value:
                k += 1
            exceeded[k] += 1
            if k < size and lower[k] <= value:
                ambiguous += 1
                exact_similarity = similarity(points, query, start + i)
                compare_ambiguous(value, exact_similarity, exact, lower, k, counts)
    add_suffix_sums(exceeded, counts)
    return ambiguous


@numba.njit(nogil=True, cache=True)
def limits(
    exact: NDArray[np.float64], query: int, bound: Bound
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lower and upper limits in low precision of each exact similarity."""
    lower, upper = np.empty(len(exact), np.float32), np.empty(len(exact), np.float32)
    for k in range(len(exact)):
        lower[k] = lower_limit(exact[k], query, bound)
        upper[k] = upper_limit(exact[k], query, bound)
    return lower, upper


@numba.njit(nogil=True, cache=True)
def compare_ambiguous(
    value: Float32,
    exact_similarity: float,
    exact: NDArray[np.float64],
    lower: NDArray[np.float32],
    k: int,
    counts: Indices,
) -> None:
    """Compare an item in float64 with the relevant items from k on while it reaches their limit."""
    while k < len(exact) and lower[k] <= value:
        counts[k] += exact_similarity >= exact[k]
        k += 1


@numba.njit(nogil=True, cache=True)
def add_suffix_sums(exceeded: Indices, counts: Indices) -> None:
    """Add to each counts[j] the similarities above more than j upper limits."""
    above = 0
    for k in range(len(counts) - 1, -1, -1):
        above += exceeded[k + 1]
        counts[k] += above


@numba.njit(nogil=True, cache=True)
def fill_bucket_table(
    lowest: Float32, upper: NDArray[np.float32], first_threshold: Indices
) -> Float32:
    """Fill the table: for each bucket, the first upper limit that its similarities may not exceed.

    Returns:
        the number of buckets per unit of similarity.
    """
    width = (np.float64(upper[-1]) - lowest) / (NUM_BUCKETS - 1)
    k = 0
    for bucket in range(NUM_BUCKETS):
        edge = lowest + (bucket - 1) * width  # one bucket lower, as `bucket_of` rounds
        while k < len(upper) and upper[k] < edge:
            k += 1
        first_threshold[bucket] = k
    return np.float32(min(1 / width, MAX_FLOAT32))


@numba.njit(nogil=True, cache=True)
def bucket_of(value: Float32, lowest: Float32, scale: Float32) -> int:
    """The bucket of a similarity."""
    bucket = (value - lowest) * scale
    return int(bucket) if bucket < NUM_BUCKETS - 1 else NUM_BUCKETS - 1
