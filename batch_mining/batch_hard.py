"""Batch hard triplets: Hermans et al. 2017, https://arxiv.org/abs/1703.07737."""

import torch

from core.batch_checks import check_inputs
from core.distance import Lp
from core.tuples import all_pairs, one_triplet_per_anchor
from core.types import Distance, Embeddings, Labels, ReferenceLabels, References, Triplets


class BatchHardMiner:
    """The farthest positive and the nearest negative of each anchor.

    An anchor without positives or without negatives gives no triplet. (Hermans et al. do not
    project onto the unit sphere: `distance=Lp(normalize=False)`.)

    Args:
        distance: None is the Euclidean distance of unit vectors.
    """

    def __init__(self, distance: Distance | None = None) -> None:
        self.distance = distance or Lp()

    @torch.no_grad()
    def __call__(
        self,
        embeddings: Embeddings,
        labels: Labels,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Triplets:
        check_inputs(embeddings, labels, references, reference_labels)
        positives, negatives = all_pairs(labels, reference_labels)
        distances = self.distance(embeddings, references)
        return one_triplet_per_anchor(
            distances.masked_fill(~positives, -torch.inf).argmax(dim=1),
            distances.masked_fill(~negatives, torch.inf).argmin(dim=1),
            where=positives.any(dim=1) & negatives.any(dim=1),
        )
