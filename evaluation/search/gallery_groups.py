"""Gallery groups: the gallery items that share a value with a query, such as its class."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

Indices = Int[Tensor, " Q"]


class GalleryGroups(NamedTuple):
    """Gallery groups: `positions[first[q] : first[q] + size[q]]` is the group of query q."""

    positions: Int[Tensor, " M"]  # gallery positions, sorted by value, then by position
    first: Indices
    size: Indices

    def pairs(self, selected: Indices) -> tuple[Tensor, Tensor]:
        """Rows of `selected` and gallery positions of all items of the query's group."""
        sizes = self.size[selected]
        rows = torch.arange(len(selected), device=selected.device).repeat_interleave(sizes)
        starts = self.first[selected] - (sizes.cumsum(0) - sizes)
        return rows, self.positions[starts[rows] + torch.arange(len(rows), device=rows.device)]


def group_gallery(values: Int[Tensor, " N"], queries: Indices, gallery: Indices) -> GalleryGroups:
    """Group the gallery by value, and find the group of the value of each query.

    Args:
        queries: indices into `values`.
        gallery: indices into `values`.
    """
    by_value = values[gallery].sort(stable=True)
    of_queries = values[queries]
    first = torch.searchsorted(by_value.values, of_queries)
    size = torch.searchsorted(by_value.values, of_queries, right=True) - first
    return GalleryGroups(by_value.indices, first, size)
