"""The nearest gallery items of a query, from similarities in low precision."""

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
)
from evaluation.search.two_stage.similarity import Points, similarity

BLOCK = 64  # similarities that are compared with the k-th largest so far at once

Indices = NDArray[np.int64]


@numba.njit(nogil=True, cache=True)
def select_nearest(
    bits: Bits,
    shift: int,
    selected: Indices,
    points: Points,
    self_index: Indices,
    bound: Bound,
    nearest: Indices,
) -> int:
    """Write the k nearest items of each chosen query into its row, nearest first.

    Of equally near items the first comes first; the query itself comes last.

    Args:
        codes: similarities (Q, M) in low precision, as bits; is overwritten.
        shift: see `bits_to_float`.
        self_index: (Q,), gallery position of the query itself; -1: it is not in the gallery.
        nearest: (Q, k), k <= M.

    Returns:
        how many items were compared in float64.
    """
    compared = 0
    k = nearest.shape[1]
    exact = np.empty(k)
    for row in range(len(selected)):
        query = selected[row]
        itself = self_index[query]
        if itself >= 0:
            bits[row, itself] = float_to_bits(-np.inf, shift)
        limit = candidate_threshold(kth_largest(bits[row], shift, k), query, bound)
        compared += insert_candidates(
            bits[row], shift, limit, query, itself, points, exact, nearest[row]
        )
    return compared


@numba.njit(nogil=True, cache=True)
def candidate_threshold(kth: Float32, query: int, bound: Bound) -> Float32:
    """Items whose similarity in low precision is below the result are not among the k nearest.

    At least k items have a true similarity of `kth` minus its error.
    """
    least = np.float64(kth) - bound.error[query] - bound.relative * abs(np.float64(kth))
    return lower_limit(least - bound.shift[query], query, bound)


@numba.njit(nogil=True, cache=True)
def kth_largest(bits: Bits, shift: int, k: int) -> Float32:
    """The k-th largest similarity of a row."""
    heap = np.full(k, -np.inf, np.float32)  # the k largest so far, the smallest of them first
    for start in range(0, len(bits), BLOCK):
        block = bits[start : start + BLOCK]
        if not any_at_least(block, lowest_bits(heap[0], shift)):
            continue
        for pattern in block:
            value = bits_to_float(pattern, shift)
            if value > heap[0]:
                replace_heap_root(heap, value)
    smallest: Float32 = heap[0]
    return smallest


@numba.njit(nogil=True, cache=True)
def replace_heap_root(heap: NDArray[np.float32], value: Float32) -> None:
    """Put a value in the place of the first of a binary heap, which then has its smallest first."""
    place = 0
    while True:
        child = 2 * place + 1
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if child >= len(heap) or heap[child] >= value:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = value


@numba.njit(nogil=True, cache=True)
def insert_candidates(
    bits: Bits,
    shift: int,
    limit: Float32,
    query: int,
    itself: int,
    points: Points,
    exact: NDArray[np.float64],
    nearest: Indices,
) -> int:
    """Write the k nearest of the items that reach the limit into `nearest`, nearest first."""
    k, found, compared = len(nearest), 0, 0
    lowest = lowest_bits(limit, shift)
    for start in range(0, len(bits), BLOCK):
        block = bits[start : start + BLOCK]
        if not any_at_least(block, lowest):
            continue
        for i in range(len(block)):
            if block[i] < lowest or bits_to_float(block[i], shift) < limit:
                continue
            item = start + i
            compared += 1
            exact_similarity = -np.inf if item == itself else similarity(points, query, item)
            if found == k and exact_similarity <= exact[k - 1]:
                continue
            place = found if found < k else k - 1
            while place > 0 and exact[place - 1] < exact_similarity:
                exact[place], nearest[place] = exact[place - 1], nearest[place - 1]
                place -= 1
            exact[place], nearest[place] = exact_similarity, item
            found = min(found + 1, k)
    return compared
