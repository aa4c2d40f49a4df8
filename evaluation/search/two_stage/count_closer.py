"""How many irrelevant gallery items are at least as near as each relevant one."""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

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

BLOCK = 64  # similarities that are compared with the farthest relevant item at once
NUM_BUCKETS = 512  # of a table that says in one step which relevant items a similarity may exceed

MAX_FLOAT32 = float(np.finfo(np.float32).max)

Indices = NDArray[np.int64]


class RelevantItems(NamedTuple):
    """The items of the class of query q: of_class[first[q] : first[q] + size[q]]."""

    of_class: Indices  # gallery positions, class by class
    first: Indices  # (Q,)
    size: Indices  # (Q,)
    self_index: Indices  # (Q,), gallery position of the query itself; -1: it is not in the gallery


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
    """Write the ranks of the relevant items of each chosen query, ascending, into its row.

    Args:
        codes: similarities (Q, M) in low precision, as bits; is overwritten.
        shift: see `bits_to_float`.
        ranks: (Q, R); entries beyond the relevant items stay as they are.

    Returns:
        how many items were ambiguous and compared in float64.
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
    """Those of the relevant items, ascending; their codes, and that of the query, become -inf."""
    exact = np.empty(relevant.size[query])
    count = 0
    start = relevant.first[query]
    for item in relevant.of_class[start : start + relevant.size[query]]:
        bits[item] = float_to_bits(-np.inf, shift)
        if item != relevant.self_index[query]:
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
    """Add to counts[k] the items at least as similar as truth[k]; truth is ascending.

    A similarity above `upper[k]` certainly counts, one below `lower[k]` certainly does not, and
    one between them is ambiguous: float64 decides.
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
    """The lower and the upper limit of each true similarity."""
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
    """Compare one item with the relevant ones from k on that its similarity is too close to."""
    while k < len(exact) and lower[k] <= value:
        counts[k] += exact_similarity >= exact[k]
        k += 1


@numba.njit(nogil=True, cache=True)
def add_suffix_sums(exceeded: Indices, counts: Indices) -> None:
    """A similarity above exactly k upper limits is above the first k: counts[j] for all j < k."""
    above = 0
    for k in range(len(counts) - 1, -1, -1):
        above += exceeded[k + 1]
        counts[k] += above


@numba.njit(nogil=True, cache=True)
def fill_bucket_table(
    lowest: Float32, upper: NDArray[np.float32], first_threshold: Indices
) -> Float32:
    """Of each bucket, the first upper limit that a similarity in it may not exceed.

    Returns:
        buckets per unit of similarity.
    """
    width = (np.float64(upper[-1]) - lowest) / (NUM_BUCKETS - 1)
    k = 0
    for bucket in range(NUM_BUCKETS):
        edge = lowest + (bucket - 1) * width  # one bucket early: `bucket_of` rounds
        while k < len(upper) and upper[k] < edge:
            k += 1
        first_threshold[bucket] = k
    return np.float32(min(1 / width, MAX_FLOAT32))


@numba.njit(nogil=True, cache=True)
def bucket_of(value: Float32, lowest: Float32, scale: Float32) -> int:
    """Place of a similarity in the table."""
    place = (value - lowest) * scale
    return int(place) if place < NUM_BUCKETS - 1 else NUM_BUCKETS - 1
