"""Selection of the nearest items: the k nearest of each query from low-precision similarities."""

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
    lower_limit,
    lowest_bits,
)
from evaluation.search.two_stage.similarity import Points, similarity

BLOCK = 64  # similarities that are compared with the current k-th largest at once

Indices = NDArray[np.int64]


@numba.njit(nogil=True, cache=True)
def select_nearest(
    bits: Bits,
    shift: int,
    selected: Indices,
    points: Points,
    ignored: Ignored,
    bound: Bound,
    nearest: Indices,
) -> int:
    """Write the k nearest items of each selected query into its row, nearest first.

    At equal distance, the item with the lower position comes first; ignored items come last.

    Args:
        bits: bits of the similarities (Q, M) in low precision; overwritten.
        shift: see `bits_to_float`.
        ignored: items that each query ignores, such as itself.
        nearest: (Q, k), k <= M.

    Returns:
        the number of items that were compared in float64.
    """
    compared = 0
    k = nearest.shape[1]
    exact = np.empty(k)
    for row in range(len(selected)):
        query = selected[row]
        clear_ignored(bits[row], shift, query, ignored)
        limit = candidate_threshold(kth_largest(bits[row], shift, k), query, bound)
        compared += insert_candidates(
            bits[row], shift, limit, query, ignored, points, exact, nearest[row]
        )
    return compared


@numba.njit(nogil=True, cache=True)
def candidate_threshold(kth: Float32, query: int, bound: Bound) -> Float32:
    """Candidate threshold: items with a lower low-precision similarity are not among the k nearest.

    At least k items have an exact similarity of `kth` minus its error bound, or more.
    """
    least = np.float64(kth) - bound.error[query] - bound.relative * abs(np.float64(kth))
    return lower_limit(least - bound.shift[query], query, bound)


@numba.njit(nogil=True, cache=True)
def kth_largest(bits: Bits, shift: int, k: int) -> Float32:
    """The k-th largest low-precision similarity of a row."""
    heap = np.full(k, -np.inf, np.float32)  # min-heap of the k largest so far
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
    """Replace the root of a binary min-heap by a larger value and restore the heap order."""
    node = 0
    while True:
        child = 2 * node + 1
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if child >= len(heap) or heap[child] >= value:
            break
        heap[node] = heap[child]
        node = child
    heap[node] = value


@numba.njit(nogil=True, cache=True)
def insert_candidates(
    bits: Bits,
    shift: int,
    limit: Float32,
    query: int,
    ignored: Ignored,
    points: Points,
    exact: NDArray[np.float64],
    nearest: Indices,
) -> int:
    """Write the k nearest of the items that reach the limit, nearest first, by insertion sort."""
    k, size, compared = len(nearest), 0, 0
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
            left_out = is_ignored(query, item, ignored)
            exact_similarity = -np.inf if left_out else similarity(points, query, item)
            if size == k and exact_similarity <= exact[k - 1]:
                continue
            rank = size if size < k else k - 1
            while rank > 0 and exact[rank - 1] < exact_similarity:
                exact[rank], nearest[rank] = exact[rank - 1], nearest[rank - 1]
                rank -= 1
            exact[rank], nearest[rank] = exact_similarity, item
            size = min(size + 1, k)
    return compared
