"""A checked batch and its tuples, from which a loss and a miner compute."""

from typing import NamedTuple

from core.tuples import to_pairs
from core.types import (
    Distance,
    Distances,
    Embeddings,
    Labels,
    Pairs,
    ReferenceLabels,
    References,
    Similarities,
    Tuples,
)


class TupleBatch(NamedTuple):
    """Batch of N embeddings, the M references to compare with, and tuples; it caches nothing."""

    embeddings: Embeddings
    labels: Labels
    tuples: Tuples  # a loss: as given or mined; a miner: all pairs
    references: References | None  # None: the embeddings are compared with one another, M = N
    reference_labels: ReferenceLabels | None
    distance: Distance

    def distances(self) -> Distances:
        """Distances (N, M), smaller is closer."""
        return self.distance(self.embeddings, self.references)

    def similarities(self) -> Similarities:
        """Similarities (N, M), larger is closer."""
        return self.distance.similarity(self.embeddings, self.references)

    def pairs(self) -> Pairs:
        """The tuples as masks of positive and negative pairs, (N, M) each."""
        others = self.embeddings if self.references is None else self.references
        return to_pairs(self.tuples, len(self.embeddings), len(others))
