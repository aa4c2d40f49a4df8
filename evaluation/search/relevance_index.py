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
        wanted = labels[queries]
        self.of_class = by_class.indices
        self.first = torch.searchsorted(by_class.values, wanted)
        self.class_size = torch.searchsorted(by_class.values, wanted, right=True) - self.first
        position = torch.full_like(labels, -1, dtype=torch.int64)
        position[gallery] = torch.arange(len(gallery), device=labels.device)
        self.itself = position[queries]  # -1: the query is not in the gallery
        self.num_relevant = self.class_size - (self.itself >= 0).long()

    def answerable(self) -> Indices:
        """Queries with something to find; similar numbers side by side waste no padding."""
        order = self.num_relevant.argsort(stable=True)
        return order[self.num_relevant[order] > 0]

    def share_class(self, chosen: Indices, items: Tensor) -> Tensor:
        """Whether the gallery positions (Q, k) in each row are of the class of the chosen query."""
        nth = self.place_in_class[items] - self.first[chosen, None]
        return (nth >= 0) & (nth < self.class_size[chosen, None])

    @cached_property
    def place_in_class(self) -> Indices:
        """Where each gallery item is in `of_class`."""
        return self.of_class.argsort()

    def pairs(self, chosen: Indices) -> tuple[Tensor, Tensor]:
        """Row in `chosen` and gallery position of each item of its class, itself included."""
        sizes = self.class_size[chosen]
        rows = torch.arange(len(chosen), device=chosen.device).repeat_interleave(sizes)
        starts = self.first[chosen] - (sizes.cumsum(0) - sizes)
        return rows, self.of_class[starts[rows] + torch.arange(len(rows), device=rows.device)]
