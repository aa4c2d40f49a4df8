"""Semi-hard negatives: Schroff et al., FaceNet, CVPR 2015, https://arxiv.org/abs/1503.03832."""

from core.random import SeededRandom
from core.ranges import PositiveFloat, Seed
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.tuples import one_triplet_per_anchor, with_fallback
from core.types import Distance, Triplets


class SemiHardMiner(TupleMiner):
    """Semi-hard miner: a negative that is farther than the positive, but by less than the margin.

    For each anchor, one positive p is drawn uniformly, and one negative uniformly from those with

        d(a, p) < d(a, n) < d(a, p) + margin

    An anchor without such a negative draws any negative (Roth et al.), or is left out with
    `fallback=False` (as in the `TripletMarginMiner` of pytorch-metric-learning). An anchor without
    positives or without negatives gives no triplet. (FaceNet takes every positive of its much
    larger batches.)

    Args:
        margin: in units of `distance`, > 0.
        fallback: whether anchors without a semi-hard negative take any other.
        distance: None is the Euclidean distance of unit vectors.
        seed: of the miner's own random stream.
    """

    def __init__(
        self,
        margin: PositiveFloat = 0.2,
        fallback: bool = True,
        distance: Distance | None = None,
        seed: Seed = 0,
    ) -> None:
        super().__init__(distance)
        if margin <= 0:
            raise ValueError(f"margin must be positive, got {margin}")
        self.margin, self.fallback = margin, fallback
        self.draw = SeededRandom(seed)

    def choose(self, batch: TupleBatch) -> Triplets:
        distances, (positives, negatives) = batch.distances(), batch.pairs()
        positive = self.draw.choice(positives)
        nearest = distances.gather(1, positive[:, None])
        semihard = negatives & (distances > nearest) & (distances < nearest + self.margin)
        candidates = with_fallback(semihard, negatives) if self.fallback else semihard
        return one_triplet_per_anchor(
            positive,
            self.draw.choice(candidates),
            where=positives.any(dim=1) & candidates.any(dim=1),
        )
