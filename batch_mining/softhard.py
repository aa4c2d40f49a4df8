"""Soft-hard triplets: Roth et al., ICML 2020, https://arxiv.org/abs/2002.08473."""

import torch

from core.random import SeededRandom
from core.ranges import Seed
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.tuples import one_triplet_per_anchor, with_fallback
from core.types import Distance, Triplets


class SoftHardMiner(TupleMiner):
    """Soft-hard miner: random triplets of pairs that are hard relative to the anchor's other kind.

    For each anchor, one positive is drawn uniformly from those farther than its nearest negative,
    and one negative from those nearer than its farthest positive; if there are none, from all of
    that kind. An anchor without positives or without negatives gives no triplet.

    Args:
        distance: None is the Euclidean distance of unit vectors.
        seed: of the miner's own random stream.
    """

    def __init__(self, distance: Distance | None = None, seed: Seed = 0) -> None:
        super().__init__(distance)
        self.draw = SeededRandom(seed)

    def choose(self, batch: TupleBatch) -> Triplets:
        distances, (positives, negatives) = batch.distances(), batch.pairs()
        nearest_negative = distances.masked_fill(~negatives, torch.inf).amin(dim=1, keepdim=True)
        farthest_positive = distances.masked_fill(~positives, -torch.inf).amax(dim=1, keepdim=True)
        hard_positives = positives & (distances > nearest_negative)
        hard_negatives = negatives & (distances < farthest_positive)
        return one_triplet_per_anchor(
            self.draw.choice(with_fallback(hard_positives, positives)),
            self.draw.choice(with_fallback(hard_negatives, negatives)),
            where=positives.any(dim=1) & negatives.any(dim=1),
        )
