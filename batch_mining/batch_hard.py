"""Batch hard triplets: Hermans et al. 2017, https://arxiv.org/abs/1703.07737."""

import torch

from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.tuples import one_triplet_per_anchor
from core.types import Distance, Triplets


class BatchHardMiner(TupleMiner):
    """Batch hard miner: the farthest positive and the nearest negative of each anchor.

    An anchor without positives or without negatives gives no triplet.

    Differences:
        Hermans et al.: do not project onto the unit sphere; `distance=Lp(normalize=False)`.
        pytorch-metric-learning: `BatchHardMiner`, the same.

    Args:
        distance: None is the Euclidean distance of unit vectors.
    """

    def __init__(self, distance: Distance | None = None) -> None:
        super().__init__(distance)

    def choose(self, batch: TupleBatch) -> Triplets:
        distances, (positives, negatives) = batch.distances(), batch.pairs()
        return one_triplet_per_anchor(
            distances.masked_fill(~positives, -torch.inf).argmax(dim=1),
            distances.masked_fill(~negatives, torch.inf).argmin(dim=1),
            where=positives.any(dim=1) & negatives.any(dim=1),
        )
