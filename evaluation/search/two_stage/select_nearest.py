"""The nearest gallery items of a query, from similarities in low precision."""

import numba
import numpy as np
from numpy.typing import NDArray

from evaluation.search.two_stage.low_precision import (
    Bound,
    Codes,
    Single,
    any_at_least,
    code_limit,
    code_of,
    lower_limit,
    value_of,
)
from evaluation.search.two_stage.similarity import Points, similarity

BLOCK = 64  # similarities that are compared with the k-th largest so far at once

Indices = NDArray[np.int64]


@numba.njit(nogil=True, cache=True)
def select_nearest(
    codes: Codes,
    shift: int,
    chosen: Indices,
    points: Points,
    self_index: Indices,
    bound: Bound,
    nearest: Indices,
) -> int:
    """Write the k nearest items of each chosen query into its row, nearest first.

    Of equally near items the first comes first; the query itself comes last.

    Args:
        codes: similarities (Q, M) in low precision, as bits; is overwritten.
        shift: see `value_of`.
        self_index: (Q,), gallery position of the query itself; -1: it is not in the gallery.
        nearest: (Q, k), k <= M.

    Returns:
        how many items were compared in float64.
    """
    compared = 0
    k = nearest.shape[1]
    truth = np.empty(k)
    for row in range(len(chosen)):
        query = chosen[row]
        itself = self_index[query]
        if itself >= 0:
            codes[row, itself] = code_of(-np.inf, shift)
        limit = candidate_limit(kth_largest(codes[row], shift, k), query, bound)
        compared += keep_nearest(
            codes[row], shift, limit, query, itself, points, truth, nearest[row]
        )
    return compared


@numba.njit(nogil=True, cache=True)
def candidate_limit(kth: Single, query: int, bound: Bound) -> Single:
    """Items whose similarity in low precision is below the result are not among the k nearest.

    At least k items have a true similarity of `kth` minus its error.
    """
    least = np.float64(kth) - bound.error[query] - bound.relative * abs(np.float64(kth))
    return lower_limit(least - bound.shift[query], query, bound)


@numba.njit(nogil=True, cache=True)
def kth_largest(codes: Codes, shift: int, k: int) -> Single:
    """The k-th largest similarity of a row."""
    heap = np.full(k, -np.inf, np.float32)  # the k largest so far, the smallest of them first
    for start in range(0, len(codes), BLOCK):
        block = codes[start : start + BLOCK]
        if not any_at_least(block, code_limit(heap[0], shift)):
            continue
        for code in block:
            value = value_of(code, shift)
            if value > heap[0]:
                replace_smallest(heap, value)
    smallest: Single = heap[0]
    return smallest


@numba.njit(nogil=True, cache=True)
def replace_smallest(heap: NDArray[np.float32], value: Single) -> None:
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
def keep_nearest(
    codes: Codes,
    shift: int,
    limit: Single,
    query: int,
    itself: int,
    points: Points,
    truth: NDArray[np.float64],
    nearest: Indices,
) -> int:
    """Write the k nearest of the items that reach the limit into `nearest`, nearest first."""
    k, found, compared = len(nearest), 0, 0
    lowest_code = code_limit(limit, shift)
    for start in range(0, len(codes), BLOCK):
        block = codes[start : start + BLOCK]
        if not any_at_least(block, lowest_code):
            continue
        for i in range(len(block)):
            if block[i] < lowest_code or value_of(block[i], shift) < limit:
                continue
            item = start + i
            compared += 1
            true = -np.inf if item == itself else similarity(points, query, item)
            if found == k and true <= truth[k - 1]:
                continue
            place = found if found < k else k - 1
            while place > 0 and truth[place - 1] < true:
                truth[place], nearest[place] = truth[place - 1], nearest[place - 1]
                place -= 1
            truth[place], nearest[place] = true, item
            found = min(found + 1, k)
    return compared
