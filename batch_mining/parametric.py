"""Negatives from a fixed distribution over distances: Roth et al., https://arxiv.org/abs/2003.11113."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import torch
from annotated_types import Len
from torch import Tensor

from core.random import SeededRandom
from core.ranges import Seed, Size
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.tuples import one_triplet_per_anchor, with_fallback
from core.types import Distance, Triplets

Distribution = Literal["uniform", "hards", "semihards", "veryhards"]
FAVOURED = {  # distances that have all but 1e-15 of the odds
    "uniform": (-math.inf, math.inf),
    "hards": (-math.inf, 0.5),
    "semihards": (0.3, 0.7),
    "veryhards": (-math.inf, 0.3),
}


class ParametricMiner(TupleMiner):
    """Parametric miner: draws negatives from a fixed distribution over bins of distances.

    The interval `limits` is cut into `num_bins` bins of equal width, each with a weight. For each
    anchor, one positive is drawn uniformly, and one negative within the limits in proportion to the
    weight of its bin: 1 if the distribution contains the middle of the bin, else 1e-15:

        "uniform"    all
        "hards"      up to 0.5
        "semihards"  0.3 to 0.7
        "veryhards"  up to 0.3

    An anchor without negatives within the limits draws any of them uniformly; one without
    positives or without negatives gives no triplet.

    Differences:
        Roth et al.: mean to leave out what is beyond the limits, but count it to the outermost
            bins, `clip=True`; cut the interval into `num_bins` - 1.

    Args:
        distribution: see above.
        num_bins: >= 1.
        limits: in units of `distance`, ascending.
        clip: whether negatives beyond the limits count to the outermost bins.
        seed: of the miner's own random stream.
        distance: also gives the unit of the numbers above; None is the Euclidean distance of unit
            vectors.
    """

    log_odds: Tensor  # (num_bins,)

    def __init__(
        self,
        distribution: Distribution = "semihards",
        num_bins: Size = 30,
        limits: Annotated[Sequence[float], Len(2, 2)] = (0.1, 1.4),
        clip: bool = False,
        seed: Seed = 0,
        distance: Distance | None = None,
    ) -> None:
        super().__init__(distance)
        if distribution not in get_args(Distribution):
            raise ValueError(
                f"distribution must be one of {get_args(Distribution)}, got {distribution!r}"
            )
        if num_bins < 1:
            raise ValueError(f"num_bins must be at least 1, got {num_bins}")
        self.least, self.greatest = limits
        if not self.least < self.greatest:
            raise ValueError(f"limits must be ascending distances, got {limits}")
        self.num_bins, self.clip = num_bins, clip
        self.draw = SeededRandom(seed)
        middles = self.least + self.width * (torch.arange(num_bins) + 0.5)
        low, high = FAVOURED[distribution]
        favoured = (middles >= low) & (middles <= high)
        self.register_buffer("log_odds", favoured.float().clamp(min=1e-15).log())

    @property
    def width(self) -> float:
        """Of a bin."""
        return (self.greatest - self.least) / self.num_bins

    def choose(self, batch: TupleBatch) -> Triplets:
        distances, (positives, negatives) = batch.distances(), batch.pairs()
        bins = ((distances - self.least) / self.width).long().clamp(0, self.num_bins - 1)
        log_odds = self.log_odds[bins]
        near = negatives
        if not self.clip:
            within = (distances >= self.least) & (distances <= self.greatest)
            near = with_fallback(negatives & within, negatives)
            log_odds = log_odds.where(within, 0)
        return one_triplet_per_anchor(
            self.draw.choice(positives),
            self.draw(log_odds.masked_fill(~near, -torch.inf)),
            where=positives.any(dim=1) & negatives.any(dim=1),
        )
