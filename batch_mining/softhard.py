"""Soft-hard triplets: Roth et al., ICML 2020, https://arxiv.org/abs/2002.08473."""

import torch
from torch import nn

from core.batch_checks import check_inputs
from core.distance import Lp
from core.random import SeededRandom
from core.ranges import Seed
from core.tuples import all_pairs, one_triplet_per_anchor, with_fallback
from core.types import Distance, Embeddings, Labels, ReferenceLabels, References, Triplets


class SoftHardMiner(nn.Module):
    """Random triplets among the pairs that contradict the opposite kind of pair of the anchor.

    For each anchor one positive, drawn uniformly from those farther than its nearest negative, and
    one negative, drawn uniformly from those nearer than its farthest positive; from all of the kind
    where there is no such. An anchor without positives or without negatives gives no triplet.

    Args:
        distance: None is the Euclidean distance of unit vectors.
        seed: of the miner's own random stream.
    """

    def __init__(self, distance: Distance | None = None, seed: Seed = 0) -> None:
        super().__init__()
        self.distance = distance or Lp()
        self.draw = SeededRandom(seed)

    @torch.no_grad()
    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Triplets:
        check_inputs(embeddings, labels, references, reference_labels)
        positives, negatives = all_pairs(labels, reference_labels)
        distances = self.distance(embeddings, references)
        nearest_negative = distances.masked_fill(~negatives, torch.inf).amin(dim=1, keepdim=True)
        farthest_positive = distances.masked_fill(~positives, -torch.inf).amax(dim=1, keepdim=True)
        hard_positives = positives & (distances > nearest_negative)
        hard_negatives = negatives & (distances < farthest_positive)
        return one_triplet_per_anchor(
            self.draw.among(with_fallback(hard_positives, positives)),
            self.draw.among(with_fallback(hard_negatives, negatives)),
            where=positives.any(dim=1) & negatives.any(dim=1),
        )
