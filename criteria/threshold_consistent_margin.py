"""Threshold-consistent margin: Zhang et al., ICLR 2024, https://arxiv.org/abs/2307.04047."""

from core.distance import Cosine
from core.kernels.pack_positives import pack_positives
from core.ranges import NonNegativeFloat
from core.reducer import NonZeroMean, Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class ThresholdConsistentMargin(TupleLoss):
    """Threshold-consistent margin loss: pushes hard pairs beyond margins that all classes share.

    With s the cosine similarity,

        λ⁺ [m⁺ - s]₊ of each positive pair,  λ⁻ [s - m⁻]₊ of each negative pair

    where each kind is averaged separately, and over its hard pairs only, those on the wrong side of
    their margin. Both margins are absolute, so they hold for all classes alike. The paper adds it
    to another loss. A kind without hard pairs contributes 0.

    Differences:
        pytorch-metric-learning: `ThresholdConsistentMarginLoss` accepts references and ignores
            them.

    Args:
        miner: chooses the tuples; None takes all pairs.
        positive_weight: λ⁺ >= 0.
        negative_weight: λ⁻ >= 0.
        positive_margin: m⁺, the similarity that positive pairs should have.
        negative_margin: m⁻, the similarity that negative pairs should not have.
        distance: gives the similarity; None is the cosine.
        reducer: of the terms `positives` and `negatives`; None is the mean of those above zero.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        positive_weight: NonNegativeFloat = 1.0,
        negative_weight: NonNegativeFloat = 1.0,
        positive_margin: float = 0.9,
        negative_margin: float = 0.5,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Cosine(), reducer or NonZeroMean())
        if positive_weight < 0 or negative_weight < 0:
            raise ValueError(
                "positive_weight and negative_weight must not be negative, "
                f"got {positive_weight} and {negative_weight}"
            )
        self.positive_weight, self.negative_weight = positive_weight, negative_weight
        self.positive_margin, self.negative_margin = positive_margin, negative_margin

    def formula(self, batch: TupleBatch) -> NamedTerms:
        similarities, pairs = batch.similarities(), batch.pairs()
        of_positives, valid = pack_positives(similarities, pairs.positives)
        pull = self.positive_weight * (self.positive_margin - of_positives).relu()
        push = self.negative_weight * (similarities - self.negative_margin).relu()
        return {
            "positives": loss_terms(pull, where=valid),
            "negatives": loss_terms(push, where=pairs.negatives),
        }
