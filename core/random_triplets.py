"""Random triplets: the tuples of a loss that has neither a miner nor given tuples."""

from typing import Literal

from torch import nn

from core.random import SeededRandom
from core.ranges import PositiveInt
from core.tuples import all_pairs, list_triplets
from core.types import Embeddings, Labels, Miner, ReferenceLabels, References, Triplets

TripletsPerAnchor = PositiveInt | Literal["all"]


class RandomTriplets(nn.Module):
    """Random triplets: K of each anchor, positives and negatives drawn uniformly with replacement.

    An anchor without positives or without negatives gives no triplet. It takes O(N M + N K log M)
    time, and the host does not wait for the device.

    Args:
        triplets_per_anchor: K >= 1.
        seed: of its own random stream.
    """

    def __init__(self, triplets_per_anchor: PositiveInt, seed: int) -> None:
        super().__init__()
        if triplets_per_anchor < 1:
            raise ValueError(
                f'triplets_per_anchor must be "all" or at least 1, got {triplets_per_anchor}'
            )
        self.triplets_per_anchor, self.draw = triplets_per_anchor, SeededRandom(seed)

    def forward(
        self,
        embeddings: Embeddings,  # noqa: ARG002  # all miners take them
        labels: Labels,
        references: References | None = None,  # noqa: ARG002
        reference_labels: ReferenceLabels | None = None,
    ) -> Triplets:
        positives, negatives = all_pairs(labels, reference_labels)
        count = self.triplets_per_anchor
        where = positives.any(dim=1) & negatives.any(dim=1)
        return list_triplets(
            self.draw.several(positives.log(), count),
            self.draw.several(negatives.log(), count),
            where=where[:, None].expand(-1, count),
        )


def miner_or_random(
    miner: Miner | None, triplets_per_anchor: TripletsPerAnchor, seed: int
) -> Miner | None:
    """The miner if there is one, else random triplets; None, which takes all, for "all"."""
    if miner is not None or triplets_per_anchor == "all":
        return miner
    return RandomTriplets(triplets_per_anchor, seed)
