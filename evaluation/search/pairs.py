"""Every pair of a query and a gallery item, some queries at a time."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from core.types import Embeddings, Labels
from evaluation.search.chunks import MEMORY, in_chunks
from evaluation.search.space import (
    Distance,
    full_precision,
    half_squared_norms,
    normalize_for_search,
)

Part = TypeVar("Part")
Relations = UInt8[Tensor, "q M"]  # 0 another class, 1 the same class, 2 the query itself

SELF = 2


class Pairs:
    """The similarity of each query to each gallery item, and whether they share a label.

    The similarity is one number for all pairs, larger is closer: the cosine, or -d²/2 of the
    Euclidean distance d, in the unit of `evaluation.search.space.unit_of_length`.

    Args:
        queries: indices into `embeddings`; `gallery` likewise, each once.
        distance: `cosine` or `euclidean`.
        memory: working memory in bytes.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        labels: Labels,
        queries: Int[Tensor, " Q"],
        gallery: Int[Tensor, " M"],
        *,
        distance: Distance = "cosine",
        memory: int = MEMORY,
    ) -> None:
        self.points = normalize_for_search(embeddings, distance)
        self.labels, self.queries, self.gallery = labels, queries, gallery
        self.offsets = half_squared_norms(self.points) if distance == "euclidean" else None
        self.memory = memory

    def each(
        self, compute: Callable[[Float[Tensor, "q M"], Relations], Part], extra: int = 0
    ) -> Iterator[Part]:
        """`compute(similarities, relations)` of some queries and the whole gallery, in turn.

        Args:
            compute: may overwrite both its arguments.
            extra: bytes per pair that it allocates.
        """
        gallery_points, gallery_labels = self.points[self.gallery], self.labels[self.gallery]
        position = torch.full_like(self.labels, -1, dtype=torch.int64)
        position[self.gallery] = torch.arange(len(self.gallery), device=self.labels.device)
        itself = position[self.queries]  # -1: the query is not in the gallery

        def compute_rows(rows: slice, similarities: Tensor) -> Part:
            queries = self.queries[rows]
            with full_precision(self.points.device):
                torch.mm(self.points[queries], gallery_points.T, out=similarities)
            if self.offsets is not None:
                similarities -= self.offsets[queries, None]
                similarities -= self.offsets[self.gallery]
            relations = (self.labels[queries, None] == gallery_labels).view(torch.uint8)
            found = (itself[rows] >= 0).nonzero().squeeze(1)
            relations[found, itself[rows][found]] = SELF
            return compute(similarities, relations)

        parts = in_chunks(
            compute_rows,
            len(self.queries),
            width=max(1, len(self.gallery)),
            like=self.points,
            memory=self.memory,
            extra=len(self.gallery) * (extra + 1),
        )
        yield from (part for _, part in parts)
