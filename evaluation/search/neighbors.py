"""Neighbours: the k nearest gallery items of each query, the result of a k-NN search."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

NO_NEIGHBOR = -1  # pads the rows of queries with fewer than k neighbours


class Neighbors(NamedTuple):
    """Neighbours: Q queries and their nearest gallery items, nearest first, without the query.

    Of two items at equal distance, the one with the lower index comes first. If the gallery has
    fewer than k other items, the row is padded with `NO_NEIGHBOR` at infinite distance.
    """

    queries: Int[Tensor, " Q"]  # indices into the embeddings, all queries, in their order
    indices: Int[Tensor, "Q k"]  # indices into the embeddings
    distances: Float[Tensor, "Q k"]  # 1 - cosine, or Euclidean; float64

    def first(self, k: int) -> "Neighbors":
        """The nearest `k` of each query."""
        return Neighbors(self.queries, self.indices[:, :k], self.distances[:, :k])
