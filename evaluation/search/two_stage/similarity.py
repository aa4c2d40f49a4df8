"""Exact similarity of a query and a gallery item in float64, the same for every pair of copies."""

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[Any]  # float32 or float64


class Points(NamedTuple):
    """Points: queries (Q, D) and gallery (M, D) in full precision."""

    queries: Vectors
    gallery: Vectors
    euclidean: bool


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def similarity(points: Points, query: int, item: int) -> float:
    """Similarity: x·y, or -|x - y|²/2 in Euclidean search, of query x and gallery point y.

    Products and differences of float32 are exact in float64. The compiled loop adds them in the
    same order for every pair, so that copies of a point have exactly the same similarity.
    """
    x, y = points.queries[query], points.gallery[item]
    total = 0.0
    if points.euclidean:
        for d in range(len(x)):
            difference = np.float64(x[d]) - np.float64(y[d])
            total -= difference * difference
        return total / 2
    for d in range(len(x)):
        total += np.float64(x[d]) * np.float64(y[d])
    return total
