"""Triplets of a wide angle: Wang et al., ICCV 2017, https://arxiv.org/abs/1708.01682."""

import math
from typing import Annotated

from annotated_types import Gt, Lt
from torch import Tensor

from core.distance import Lp, described
from core.kernels.triplets_where import triplets_where
from core.random import SeededRandom
from core.ranges import PositiveInt, Seed
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.types import Mask, Triplets


class AngularMiner(TupleMiner):
    """Angular miner: all triplets whose angle at the negative exceeds a bound.

    With unit vectors a, p, n and the centre c = (a + p) / 2, the angle of a triplet is that at n
    of the right triangle of Wang et al. (their equation 4, as a condition):

        arctan(|a - p| / (2 |n - c|)) > angle

    which, by the length of the median n - c, is a bound on the other two sides:

        |n - a|² + |n - p|² < |a - p|² (1 + 1 / tan² angle) / 2

    A positive that equals its anchor has the angle 0 with every negative and makes no triplet. If
    there are more than `max_triplets`, that many are drawn, all with equal probability.

    Differences:
        pytorch-metric-learning: `AngularMiner`, the origin of this miner, does not project onto the
            unit sphere, `distance=Lp(power=2, normalize=False)`, and has no `max_triplets`.

    Args:
        angle: degrees, in (0, 90).
        max_triplets: most triplets of a batch; None is no limit, and up to N³/4 of them.
        seed: of the miner's own random stream.
        distance: a squared Euclidean one, as the angle follows from the squared sides; None is that
            of unit vectors.
    """

    def __init__(
        self,
        angle: Annotated[float, Gt(0), Lt(90)] = 20,
        max_triplets: PositiveInt | None = 1_000_000,
        seed: Seed = 0,
        distance: Lp | None = None,
    ) -> None:
        super().__init__(distance or Lp(power=2))
        if not isinstance(self.distance, Lp) or (self.distance.p, self.distance.power) != (2, 2):
            raise ValueError(
                "distance must be squared Euclidean, Lp with p=2 and power=2, "
                f"got {described(self.distance)}"
            )
        if not 0 < angle < 90:
            raise ValueError(f"angle must be in (0, 90) degrees, got {angle}")
        if max_triplets is not None and max_triplets < 1:
            raise ValueError(f"max_triplets must be at least 1, got {max_triplets}")
        self.angle, self.max_triplets = angle, max_triplets
        self.draw = SeededRandom(seed)

    def choose(self, batch: TupleBatch) -> Triplets:
        to_anchor = batch.distances()
        to_positive = to_anchor if batch.references is None else self.distance(batch.references)
        widest = 0.5 + 0.5 / math.tan(math.radians(self.angle)) ** 2

        def wide(anchors: Tensor, positives: Tensor) -> Mask:
            between = to_anchor[anchors, positives][:, None]
            return to_anchor[anchors] + to_positive[positives] < widest * between

        return triplets_where(wide, batch.pairs(), self.max_triplets, self.draw)
