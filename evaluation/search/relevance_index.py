"""Relevance index: the relevant gallery items of each query, by a gallery sorted by class."""

from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from core.types import Labels

Indices = Int[Tensor, " Q"]


class RelevanceIndex:
    """Relevance index: gallery positions grouped by class, and the class of each query.

    Attributes:
        of_class: (M,) gallery positions, sorted by class.
        first, class_size: (Q,), `of_class[first[q] : first[q] + class_size[q]]` is the class of
            query q, including q if q is in the gallery.
        self_index: (Q,) gallery position of the query itself; -1 if it is not in the gallery.
        num_relevant: (Q,) number of relevant items.

    Args:
        queries: indices into `labels`.
        gallery: indices into `labels`, each once.
    """

    def __init__(self, labels: Labels, queries: Indices, gallery: Indices) -> None:
        by_class = labels[gallery].sort(stable=True)
        query_labels = labels[queries]
        self.of_class = by_class.indices
        self.first = torch.searchsorted(by_class.values, query_labels)
        self.class_size = torch.searchsorted(by_class.values, query_labels, right=True) - self.first
        position = torch.full_like(labels, -1, dtype=torch.int64)
        position[gallery] = torch.arange(len(gallery), device=labels.device)
        self.self_index = position[queries]
        self.num_relevant = self.class_size - (self.self_index >= 0).long()

    def queries_with_positives(self) -> Indices:
        """Queries with a relevant item, sorted by their number of relevant items."""
        order = self.num_relevant.argsort(stable=True)
        return order[self.num_relevant[order] > 0]

    def same_class(self, selected: Indices, items: Tensor) -> Tensor:
        """Whether the gallery positions (Q, k) in each row have the class of the selected query."""
        nth = self.position_in_class[items] - self.first[selected, None]
        return (nth >= 0) & (nth < self.class_size[selected, None])

    @cached_property
    def position_in_class(self) -> Indices:
        """Position of each gallery item in `of_class`."""
        return self.of_class.argsort()

    def pairs(self, selected: Indices) -> tuple[Tensor, Tensor]:
        """Rows of `selected` and gallery positions of all items of the query's class."""
        sizes = self.class_size[selected]
        rows = torch.arange(len(selected), device=selected.device).repeat_interleave(sizes)
        starts = self.first[selected] - (sizes.cumsum(0) - sizes)
        return rows, self.of_class[starts[rows] + torch.arange(len(rows), device=rows.device)]
