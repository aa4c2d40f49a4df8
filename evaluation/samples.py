"""Samples of an evaluation: embeddings with their labels, roles, categories and groups."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Bool, Int
from torch import Tensor

from core.types import Embeddings, Labels
from evaluation.search.ignored_items import Groups


class Samples(NamedTuple):
    """Samples: N embeddings, their labels, which are queries and gallery items, and categories.

    Roles may be None, which means all samples, and so may categories, if there are none. A query
    ignores the gallery items of its ignore group; None means that it ignores only itself.
    """

    embeddings: Embeddings
    labels: Labels
    is_query: Bool[Tensor, " N"] | None = None
    is_gallery: Bool[Tensor, " N"] | None = None
    categories: Sequence[str] | None = None
    ignore_groups: Groups | None = None

    def subset(self, positions: Int[Tensor, " S"]) -> "Samples":
        """The samples at these positions, a tensor on the CPU."""

        def chosen(values: Tensor) -> Tensor:
            return values[positions.to(values.device)]

        return Samples(
            chosen(self.embeddings),
            chosen(self.labels),
            None if self.is_query is None else chosen(self.is_query),
            None if self.is_gallery is None else chosen(self.is_gallery),
            self.categories and [self.categories[position] for position in positions.tolist()],
            None if self.ignore_groups is None else chosen(self.ignore_groups),
        )


def with_float64(values: Tensor) -> Tensor:
    """The values on a device that supports float64: the CPU instead of MPS."""
    return values.cpu() if values.device.type == "mps" else values
