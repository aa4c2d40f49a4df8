"""Triplet loss: Schroff et al., FaceNet, CVPR 2015, https://arxiv.org/abs/1503.03832."""

from core.distance import Lp
from core.kernels.triplet_hinges import triplet_hinges
from core.ranges import NonNegativeFloat
from core.reducer import Reducer
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class TripletMargin(TupleLoss):
    """Triplet loss: a negative is farther from the anchor than a positive, by a margin.

    For each triplet (a, p, n), with d the squared Euclidean distance of unit vectors,

        [d(a, p) - d(a, n) + margin]₊

    averaged over all triplets, zeros counted. Given pairs, or no miner, every positive with every
    negative of the same anchor is a triplet; their sum is exact and costs one sort of the
    distances, O(N M log M) time and O(N M) memory. An anchor without positives or without
    negatives has no triplets and contributes nothing.

    Differences:
        pytorch-metric-learning: `TripletMarginLoss` takes the mean of the losses above zero,
            distances that are not squared, and the margin 0.05;
            `reducer=NonZeroMean(), distance=Lp(), margin=0.05`.
        pytorch-online-metric-learning: each sample is one of its own positives; the miner
            `batch_easy_hard` with `include_anchor=True`.

    Args:
        miner: chooses the tuples; None takes all triplets.
        margin: in units of `distance`, >= 0.
        distance: None is the squared Euclidean distance of unit vectors.
        reducer: of the term `triplets`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        margin: NonNegativeFloat = 0.2,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Lp(power=2), reducer)
        if margin < 0:
            raise ValueError(f"margin must not be negative, got {margin}")
        self.margin = margin

    def formula(self, batch: TupleBatch) -> NamedTerms:
        return {"triplets": triplet_hinges(batch.distances(), batch.tuples, self.margin)}
