"""Multi-Similarity pair mining: Wang et al., CVPR 2019, https://arxiv.org/abs/1904.06627."""

import torch

from core.distance import Cosine
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.types import Distance, Pairs


class MultiSimilarityMiner(TupleMiner):
    """Multi-Similarity miner: pairs that are hard relative to the anchor's pairs of the other kind.

        positive (i, j) if s_ij < max_{k ∈ negatives of i} s_ik + ε
        negative (i, j) if s_ij > min_{k ∈ positives of i} s_ik - ε

    An anchor without positives keeps no negatives, and vice versa.

    Differences:
        pytorch-metric-learning: `MultiSimilarityMiner`, the same.

    Args:
        epsilon: slack ε in units of similarity; larger keeps more pairs.
        distance: gives the similarity; None is the cosine.
    """

    def __init__(self, epsilon: float = 0.1, distance: Distance | None = None) -> None:
        super().__init__(distance or Cosine())
        self.epsilon = epsilon

    def choose(self, batch: TupleBatch) -> Pairs:
        similarity = batch.similarities()
        positives, negatives = batch.pairs()
        nearest_negative = similarity.masked_fill(~negatives, -torch.inf).amax(dim=1, keepdim=True)
        farthest_positive = similarity.masked_fill(~positives, torch.inf).amin(dim=1, keepdim=True)
        return Pairs(
            positives=positives & (similarity < nearest_negative + self.epsilon),
            negatives=negatives & (similarity > farthest_positive - self.epsilon),
        )
