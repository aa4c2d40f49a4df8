"""Pairs beyond a margin, as in pytorch-metric-learning's `PairMarginMiner`."""

import torch

from core.batch_checks import check_inputs
from core.distance import Lp
from core.tuples import all_pairs
from core.types import Distance, Embeddings, Labels, Pairs, ReferenceLabels, References


class PairMarginMiner:
    """Positives that are too far apart and negatives that are too near.

        positive (i, j) if d(i, j) > positive_margin
        negative (i, j) if d(i, j) < negative_margin

    Positives and negatives are chosen apart: an anchor may keep one kind alone.

    Args:
        positive_margin: in units of `distance`.
        negative_margin: the same.
        distance: None is the Euclidean distance of unit vectors.
    """

    def __init__(
        self,
        positive_margin: float = 0.2,
        negative_margin: float = 0.8,
        distance: Distance | None = None,
    ) -> None:
        self.positive_margin, self.negative_margin = positive_margin, negative_margin
        self.distance = distance or Lp()

    @torch.no_grad()
    def __call__(
        self,
        embeddings: Embeddings,
        labels: Labels,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Pairs:
        check_inputs(embeddings, labels, references, reference_labels)
        positives, negatives = all_pairs(labels, reference_labels)
        distances = self.distance(embeddings, references)
        return Pairs(
            positives=positives & (distances > self.positive_margin),
            negatives=negatives & (distances < self.negative_margin),
        )
