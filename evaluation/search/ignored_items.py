"""Ignored items: the gallery items that are left out of the ranking of a query."""

from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from evaluation.search.gallery_groups import GalleryGroups, Indices, group_gallery

Groups = Int[Tensor, " N"]


class IgnoredItems:
    """Ignored items: the gallery items of the group of a query, by default the query alone.

    They are neither relevant nor irrelevant, and no rank counts them. In person re-identification
    a group holds the images of one person by one camera, in videos the frames of one sequence.

    Attributes:
        query_group, gallery_group: (Q,) and (M,), group of each query and of each gallery item.
        has_groups: whether a query may ignore other items than itself.

    Args:
        num: number of samples N.
        queries: indices of the queries.
        gallery: indices of the gallery items, each once.
        groups: group of each sample; None means that each sample is a group of its own.
    """

    def __init__(
        self, num: int, queries: Indices, gallery: Indices, groups: Groups | None = None
    ) -> None:
        self.has_groups = groups is not None
        of_sample = torch.arange(num, device=gallery.device) if groups is None else groups
        self.query_group, self.gallery_group = of_sample[queries], of_sample[gallery]
        self.by_group: GalleryGroups = group_gallery(of_sample, queries, gallery)

    def contains(self, selected: Indices, items: Int[Tensor, "q k"]) -> Bool[Tensor, "q k"]:
        """Whether the selected query of each row ignores the gallery positions of the row."""
        return self.gallery_group[items] == self.query_group[selected, None]

    def mask(self, selected: Indices | slice) -> Bool[Tensor, "q M"]:
        """Whether each selected query ignores each gallery item."""
        return self.query_group[selected, None] == self.gallery_group

    @cached_property
    def most(self) -> int:
        """Largest number of items that a query ignores; at least 1."""
        return max(1, int(self.by_group.size.max())) if self.has_groups else 1
