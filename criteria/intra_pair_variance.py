"""Intra-pair variance loss: Yu and Tao, Deep Metric Learning with Tuplet Margin Loss, ICCV 2019.

https://openaccess.thecvf.com/content_ICCV_2019/papers/Yu_Deep_Metric_Learning_With_Tuplet_Margin_Loss_ICCV_2019_paper.pdf
"""

from torch import Tensor

from core.distance import Cosine, similarity_range
from core.kernels.pack_positives import pack_positives
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Mask, Miner


class IntraPairVariance(TupleLoss):
    """Intra-pair variance loss: makes positive pairs equally similar, and negative pairs too.

    With s the cosine similarity and μ⁺, μ⁻ its means over the positive and the negative pairs,

        [(1 - ε⁺) μ⁺ - s]₊² of each positive pair,  [s - (1 + ε⁻) μ⁻]₊² of each negative pair

    where each kind is averaged separately. The means have a gradient, too. The loss does not depend
    on how far apart the classes are; the paper adds it to the tuplet margin loss, with weight 0.5.
    A kind of pair that the batch lacks contributes 0. Where a similarity is minus a distance, the
    factors are 1 + ε⁺ and 1 - ε⁻, as a share of the mean distance is allowed.

    Differences:
        pytorch-metric-learning: `IntraPairVarianceLoss`, the same.

    Args:
        miner: chooses the tuples; None takes all pairs.
        positive_epsilon: ε⁺, how far below their mean positive pairs may lie, as a share of it.
        negative_epsilon: ε⁻, how far above their mean negative pairs may lie, as a share of it.
        distance: gives the similarity; None is the cosine.
        reducer: of the terms `positives` and `negatives`; None is the mean of each.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        positive_epsilon: float = 0.01,
        negative_epsilon: float = 0.01,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Cosine(), reducer)
        _, greatest = similarity_range(self.distance)
        sign = -1 if greatest <= 0 else 1
        self.positive_epsilon = sign * positive_epsilon
        self.negative_epsilon = sign * negative_epsilon

    def formula(self, batch: TupleBatch) -> NamedTerms:
        similarities = batch.similarities()
        positives, negatives = batch.pairs()
        of_positives, valid = pack_positives(similarities, positives)
        lowest = (1 - self.positive_epsilon) * marked_mean(of_positives, valid)
        highest = (1 + self.negative_epsilon) * marked_mean(similarities, negatives)
        return {
            "positives": loss_terms((lowest - of_positives).relu().square(), where=valid),
            "negatives": loss_terms((similarities - highest).relu().square(), where=negatives),
        }


def marked_mean(similarities: Tensor, where: Mask) -> Tensor:
    """Mean of the marked entries; 0 if there are none."""
    return similarities.where(where, 0).sum() / where.sum().clamp(min=1)
