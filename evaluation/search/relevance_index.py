"""Who is relevant to whom: the gallery class by class, and where the queries are in it."""

from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from core.types import Labels

Indices = Int[Tensor, " Q"]


class RelevanceIndex:
    """What queries look for.

    Args:
        queries: indices into `labels`; `gallery` likewise, each once.
    """

    def __init__(self, labels: Labels, queries: Indices, gallery: Indices) -> None:
        by_class = labels[gallery].sort(stable=True)
        query_labels = labels[queries]
        self.of_class = by_class.indices
        self.first = torch.searchsorted(by_class.values, query_labels)
        self.class_size = torch.searchsorted(by_class.values, query_labels, right=True) - self.first
        position = torch.full_like(labels, -1, dtype=torch.int64)
        position[gallery] = torch.arange(len(gallery), device=labels.device)
        self.self_index = position[queries]  # -1: the query is not in the gallery
        self.num_relevant = self.class_size - (self.self_index >= 0).long()

    def queries_with_positives(self) -> Indices:
        """Queries with something to find; similar numbers side by side waste no padding."""
        order = self.num_relevant.argsort(stable=True)
        return order[self.num_relevant[order] > 0]

    def same_class(self, selected: Indices, items: Tensor) -> Tensor:
        """Whether the gallery positions (Q, k) in each row are of the class of the chosen query."""
        nth = self.position_in_class[items] - self.first[selected, None]
        return (nth >= 0) & (nth < self.class_size[selected, None])

    @cached_property
    def position_in_class(self) -> Indices:
        """Where each gallery item is in `of_class`."""
        return self.of_class.argsort()

    def pairs(self, selected: Indices) -> tuple[Tensor, Tensor]:
        """Row in `selected` and gallery position of each item of its class, itself included."""
        sizes = self.class_size[selected]
        rows = torch.arange(len(selected), device=selected.device).repeat_interleave(sizes)
        starts = self.first[selected] - (sizes.cumsum(0) - sizes)
        return rows, self.of_class[starts[rows] + torch.arange(len(rows), device=rows.device)]
