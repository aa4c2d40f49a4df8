"""Triplet loss: Schroff et al., FaceNet, CVPR 2015, https://arxiv.org/abs/1503.03832."""

import torch.nn.functional as F
from torch import Tensor

from core.distance import Lp
from core.kernels.triplet_hinges import triplet_hinges
from core.kernels.triplet_losses import triplet_losses
from core.random_triplets import TripletsPerAnchor, miner_or_random
from core.ranges import NonNegativeFloat, Seed
from core.reducer import Reducer
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class TripletMargin(TupleLoss):
    """Triplet loss: a negative is farther from the anchor than a positive, by a margin.

    For each triplet (a, p, n), with d the squared Euclidean distance of unit vectors,

        [d(a, p) - d(a, n) + margin]₊

    averaged over all triplets, zeros counted. With `swap`, min(d(a, n), d(p, n)) replaces d(a, n):
    the negative counts for the closer of anchor and positive (Balntas et al., BMVC 2016,
    https://doi.org/10.5244/C.30.119). With `smooth`, log(1 + exp(x)) replaces the hinge [x]₊
    (Hermans et al., 2017, https://arxiv.org/abs/1703.07737, whose soft margin has margin 0).

    Given pairs, or no miner, every positive with every negative of the same anchor is a triplet.
    The sum of their hinges is exact and costs one sort of the distances, O(N M log M) time and
    O(N M) memory; with `swap` or `smooth` every triplet is visited, in blocks of bounded memory.
    With references, `swap` also takes their O(M²) distances. An anchor without positives or without
    negatives has no triplets and contributes nothing.

    Differences:
        pytorch-metric-learning: `TripletMarginLoss` takes the mean of the losses above zero,
            distances that are not squared, and the margin 0.05;
            `reducer=NonZeroMean(), distance=Lp(), margin=0.05`. With references, its `swap` takes
            the row of another anchor for that of the positive. `smooth` is `smooth_loss`.
        pytorch-online-metric-learning: each sample is one of its own positives; the miner
            `batch_easy_hard` with `include_anchor=True`.

    Args:
        miner: chooses the tuples; None takes all triplets, or `triplets_per_anchor` of them.
        margin: in units of `distance`, >= 0.
        distance: None is the squared Euclidean distance of unit vectors.
        reducer: of the term `triplets`; None is the mean.
        swap: whether the negative counts for the closer of anchor and positive.
        smooth: whether log(1 + exp(x)) replaces the hinge.
        triplets_per_anchor: without a miner and given tuples, how many random triplets of each
            anchor count; "all" takes all.
        seed: of the random triplets.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        margin: NonNegativeFloat = 0.2,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
        swap: bool = False,
        smooth: bool = False,
        triplets_per_anchor: TripletsPerAnchor = "all",
        seed: Seed = 0,
    ) -> None:
        miner = miner_or_random(miner, triplets_per_anchor, seed)
        super().__init__(miner, distance or Lp(power=2), reducer)
        if margin < 0:
            raise ValueError(f"margin must not be negative, got {margin}")
        self.margin, self.swap, self.smooth = margin, swap, smooth

    def formula(self, batch: TupleBatch) -> NamedTerms:
        distances, references = batch.distances(), batch.references
        if not self.swap and not self.smooth:
            return {"triplets": triplet_hinges(distances, batch.tuples, self.margin)}
        among = None
        if self.swap:
            among = distances if references is None else self.distance(references)
        return {"triplets": triplet_losses(distances, batch.tuples, self._loss, among)}

    def _loss(self, gap: Tensor) -> Tensor:
        return F.softplus(gap + self.margin) if self.smooth else (gap + self.margin).relu()
