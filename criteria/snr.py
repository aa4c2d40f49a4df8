"""Triplet loss on signal-to-noise ratios: Yuan et al., CVPR 2019, arXiv 1904.02616.

https://arxiv.org/abs/1904.02616
"""

from core.distance import SNR
from core.kernels.triplet_hinges import triplet_hinges
from core.ranges import NonNegativeFloat
from core.reducer import Reducer
from core.regularizer import Regularizer
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class SNRTriplet(TupleLoss):
    """SNR triplet loss: a triplet loss whose distance is the noise-to-signal ratio of a pair.

    For each triplet (a, p, n), with d_xy = Var(x - y) / Var(x), variances over the dimensions,

        [d_ap - d_an + margin]₊

    averaged over all triplets, zeros counted, plus the penalty of `regularizer`. Given pairs, or
    no miner, every positive with every negative of the same anchor is a triplet, summed exactly in
    O(N M log M) time and O(N M) memory. An anchor without positives or without negatives has no
    triplets and contributes nothing.

    Differences:
        pytorch-metric-learning: `TripletMarginLoss(distance=SNRDistance())` has unit vectors and
            the mean of the losses above zero.
        Roth et al.: the mean of the non-zero hinges; no penalty with the miner `distance`, 0.005
            of it else; `reducer=NonZeroMean(), regularizer=None`.

    Args:
        miner: chooses the tuples; None takes all triplets.
        margin: in units of `distance`, >= 0.
        distance: None is the signal-to-noise ratio of the embeddings as they are.
        reducer: of the term `triplets`; None is the mean.
        regularizer: of the embeddings; the paper has `ZeroMean`; None adds nothing.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        margin: NonNegativeFloat = 0.2,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
        regularizer: Regularizer | None = None,
    ) -> None:
        super().__init__(miner, distance or SNR(), reducer, regularizer)
        if margin < 0:
            raise ValueError(f"margin must not be negative, got {margin}")
        self.margin = margin

    def formula(self, batch: TupleBatch) -> NamedTerms:
        return {"triplets": triplet_hinges(batch.distances(), batch.tuples, self.margin)}
