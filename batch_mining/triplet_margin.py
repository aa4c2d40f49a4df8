"""Triplets by their margin, as in pytorch-metric-learning's `TripletMarginMiner`."""

from typing import Literal, get_args

from torch import Tensor

from core.kernels.triplets_where import triplets_where
from core.random import SeededRandom
from core.ranges import NonNegativeFloat, PositiveInt, Seed
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.types import Distance, Mask, Triplets

Kind = Literal["all", "hard", "semihard", "easy"]


class TripletMarginMiner(TupleMiner):
    """Triplet margin miner: all triplets of a kind, defined by the margin m = d(a, n) - d(a, p).

        "all"       m <= margin
        "hard"      m <= 0
        "semihard"  0 < m <= margin: FaceNet, https://arxiv.org/abs/1503.03832
        "easy"      m > margin

    If there are more than `max_triplets`, that many are drawn, all with equal probability.

    Differences:
        pytorch-metric-learning: `TripletMarginMiner` has no bound; `max_triplets=None`.

    Args:
        margin: in units of `distance`, >= 0.
        kind: see above.
        max_triplets: most triplets of a batch; None is no limit, and up to N³/4 of them.
        distance: None is the Euclidean distance of unit vectors.
        seed: of the miner's own random stream.
    """

    def __init__(
        self,
        margin: NonNegativeFloat = 0.2,
        kind: Kind = "all",
        max_triplets: PositiveInt | None = 1_000_000,
        distance: Distance | None = None,
        seed: Seed = 0,
    ) -> None:
        super().__init__(distance)
        if margin < 0:
            raise ValueError(f"margin must not be negative, got {margin}")
        if kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {get_args(Kind)}, got {kind!r}")
        if max_triplets is not None and max_triplets < 1:
            raise ValueError(f"max_triplets must be at least 1, got {max_triplets}")
        self.margin, self.kind, self.max_triplets = margin, kind, max_triplets
        self.draw = SeededRandom(seed)

    def choose(self, batch: TupleBatch) -> Triplets:
        distances = batch.distances()

        def of_the_kind(anchors: Tensor, positives: Tensor) -> Mask:
            margins = distances[anchors] - distances[anchors, positives][:, None]
            if self.kind == "hard":
                return margins <= 0
            if self.kind == "easy":
                return margins > self.margin
            within = margins <= self.margin
            return within & (margins > 0) if self.kind == "semihard" else within

        return triplets_where(of_the_kind, batch.pairs(), self.max_triplets, self.draw)
