"""Contrastive loss on signal-to-noise ratios: Yuan et al., CVPR 2019.

https://arxiv.org/abs/1904.02616
"""

from core.distance import SNR
from core.kernels.pack_positives import pack_positives
from core.reducer import Reducer, loss_terms
from core.regularizer import Regularizer
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class SNRContrastive(TupleLoss):
    """SNR contrastive loss: a contrastive loss whose distance is the noise-to-signal ratio.

    With d_xy = Var(x - y) / Var(x), x the anchor, variances over the dimensions,

        [d - m⁺]₊ of each positive pair + [m⁻ - d]₊ of each negative pair

    where positive and negative pairs are averaged separately, zeros counted, plus the penalty of
    `regularizer`. A kind of pair that the batch lacks contributes 0.

    Differences:
        pytorch-metric-learning: `SignalToNoiseRatioContrastiveLoss` has unit vectors, the mean of
            the losses above zero and no penalty;
            `distance=SNR(normalize=True), reducer=NonZeroMean(), regularizer=None`.

    Args:
        miner: chooses the tuples; None takes all pairs.
        positive_margin: m⁺, in units of `distance`, >= 0; 0 in the paper.
        negative_margin: m⁻, in units of `distance`, > m⁺.
        distance: None is the signal-to-noise ratio of the embeddings as they are.
        reducer: of the terms `positives` and `negatives`; None is the mean of each.
        regularizer: of the embeddings; the paper has `ZeroMean`; None adds nothing.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        positive_margin: float = 0.0,
        negative_margin: float = 1.0,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
        regularizer: Regularizer | None = None,
    ) -> None:
        super().__init__(miner, distance or SNR(), reducer, regularizer)
        self.positive_margin, self.negative_margin = positive_margin, negative_margin

    def formula(self, batch: TupleBatch) -> NamedTerms:
        distances, pairs = batch.distances(), batch.pairs()
        of_positives, valid = pack_positives(distances, pairs.positives)
        return {
            "positives": loss_terms((of_positives - self.positive_margin).relu(), where=valid),
            "negatives": loss_terms(
                (self.negative_margin - distances).relu(), where=pairs.negatives
            ),
        }
