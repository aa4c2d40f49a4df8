"""The similarity that decides: in float64, the same wherever and with whomever it is computed."""

import numpy as np
from numpy.typing import NDArray

from core.types import Embeddings
from evaluation.space import Distance

NUMBERS = 2**17  # multiplied at a time: they stay in the cache and need no fresh pages

Places = NDArray[np.int64]
Reals = NDArray[np.float64]


class Exact:
    """x·y, or -|x - y|²/2 for Euclidean search, of queries x and gallery points y, on the CPU.

    Products and differences of float32 are exact in float64, and are added in the same order for
    every pair, so that copies of a point are exactly as near as each other.
    """

    def __init__(self, queries: Embeddings, gallery: Embeddings, distance: Distance) -> None:
        self.queries, self.gallery = queries.numpy(), gallery.numpy()
        self.euclidean = distance == "euclidean"

    def __call__(self, queries: Places | int, items: Places) -> Reals:
        """The similarity of each query and the item beside it; one query goes with every item."""
        found = np.empty(len(items))
        pairs = max(1, NUMBERS // self.gallery.shape[1])
        for start in range(0, len(items), pairs):
            part = slice(start, start + pairs)
            y = self.gallery.take(items[part], axis=0).astype(np.float64, copy=False)
            query = queries if isinstance(queries, int) else queries[part]
            x = self.queries[query].astype(np.float64, copy=False)
            found[part] = self.similarity(np.broadcast_to(x, y.shape), y)
        return found

    def similarity(self, x: Reals, y: Reals) -> Reals:
        """Of each row of `x` and the same of `y`; by einsum, because BLAS adds in other orders."""
        if self.euclidean:
            x = x - y
            y = x / -2
        similarity: Reals = np.einsum("pd,pd->p", x, y)
        return similarity
