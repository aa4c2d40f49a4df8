"""Relevance index: the relevant gallery items of each query, by a gallery sorted by class."""

from functools import cached_property

import torch
from torch import Tensor

from core.types import Labels
from evaluation.search.gallery_groups import Indices, group_gallery
from evaluation.search.ignored_items import Groups, IgnoredItems


class RelevanceIndex:
    """Relevance index: gallery positions grouped by class, and the class of each query.

    Attributes:
        of_class: (M,) gallery positions, sorted by class.
        first, class_size: (Q,), `of_class[first[q] : first[q] + class_size[q]]` is the class of
            query q, including q if q is in the gallery, and ignored items.
        ignored: the items that each query ignores, itself among them.
        num_relevant: (Q,) number of relevant items: those of the class that are not ignored.
        in_gallery: (Q,) whether the query is in the gallery.

    Args:
        queries: indices into `labels`.
        gallery: indices into `labels`, each once.
        groups: see `IgnoredItems`.
    """

    def __init__(
        self, labels: Labels, queries: Indices, gallery: Indices, groups: Groups | None = None
    ) -> None:
        self.of_class, self.first, self.class_size = group_gallery(labels, queries, gallery)
        self.ignored = IgnoredItems(len(labels), queries, gallery, groups)
        is_gallery = torch.zeros_like(labels, dtype=torch.bool)
        is_gallery[gallery] = True
        self.in_gallery = is_gallery[queries]
        ignored_of_class = self.in_gallery.long()
        if groups is not None:
            both = torch.unique(torch.stack([labels, groups]), dim=1, return_inverse=True)[1]
            ignored_of_class = group_gallery(both, queries, gallery).size
        self.num_relevant = self.class_size - ignored_of_class

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
