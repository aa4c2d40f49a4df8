"""Pairs: the similarities of all pairs of a query and a gallery item, in chunks of queries."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from core.types import Embeddings, Labels
from evaluation.search.chunks import MEMORY, in_chunks
from evaluation.search.ignored_items import Groups, IgnoredItems
from evaluation.search.space import (
    Distance,
    full_precision,
    half_squared_norms,
    normalize_for_search,
)

Part = TypeVar("Part")
Similarities = Float[Tensor, "q M"]
Queries = Int[Tensor, " q"]
Relations = UInt8[Tensor, "q M"]  # 0 another class, 1 the same class, 2 the query itself

SELF = 2  # also the relation to an item that the query ignores


class Pairs:
    """Pairs: similarity of each query and each gallery item, and whether their labels are equal.

    Similarities of different queries are comparable; larger is closer. They are the cosine, or
    -d²/2 of the Euclidean distance d in units of `evaluation.search.space.unit_of_length`.

    Args:
        queries: indices into `embeddings`.
        gallery: indices into `embeddings`, each once.
        groups: of the samples; a query ignores the items of its group, by default itself.
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
        groups: Groups | None = None,
        distance: Distance = "cosine",
        memory: int = MEMORY,
    ) -> None:
        self.points = normalize_for_search(embeddings, distance)
        self.labels, self.queries, self.gallery = labels, queries, gallery
        self.ignored = IgnoredItems(len(labels), queries, gallery, groups)
        self.offsets = half_squared_norms(self.points) if distance == "euclidean" else None
        self.memory = memory

    def each(
        self, compute: Callable[[Similarities, Relations], Part], extra: int = 0
    ) -> Iterator[Part]:
        """Yield `compute(similarities, relations)`: `each_with_queries` without the queries."""
        return self.each_with_queries(lambda _, *pairs: compute(*pairs), extra)

    def each_with_queries(
        self, compute: Callable[[Queries, Similarities, Relations], Part], extra: int = 0
    ) -> Iterator[Part]:
        """Yield `compute(queries, similarities, relations)` for each chunk, if there are pairs.

        Args:
            compute: called with the indices of q queries, and their similarities (q, M) and
                relations (q, M) to the whole gallery; may overwrite these two.
            extra: bytes per pair that `compute` allocates.
        """
        if len(self.gallery) == 0:
            return
        gallery_points, gallery_labels = self.points[self.gallery], self.labels[self.gallery]
        positions = torch.arange(len(self.queries), device=self.labels.device)

        def compute_rows(rows: slice, similarities: Tensor) -> Part:
            queries = self.queries[rows]
            with full_precision(self.points.device):
                torch.mm(self.points[queries], gallery_points.T, out=similarities)
            if self.offsets is not None:
                similarities -= self.offsets[queries, None]
                similarities -= self.offsets[self.gallery]
            relations = (self.labels[queries, None] == gallery_labels).view(torch.uint8)
            relations[self.ignored.by_group.pairs(positions[rows])] = SELF
            return compute(queries, similarities, relations)

        parts = in_chunks(
            compute_rows,
            len(self.queries),
            width=len(self.gallery),
            like=self.points,
            memory=self.memory,
            extra=len(self.gallery) * (extra + 1),
        )
        yield from (part for _, part in parts)
