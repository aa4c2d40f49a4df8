"""Distance weighted sampling: Wu et al., ICCV 2017, https://arxiv.org/abs/1706.07567."""

from typing import Annotated

import torch
from annotated_types import Gt, Le, Lt

from core.random import SeededRandom
from core.ranges import Seed
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.tuples import one_triplet_per_anchor, with_fallback
from core.types import Distances, Triplets


class DistanceWeightedMiner(TupleMiner):
    """Distance weighted miner: draws negatives about uniformly over the range of distances.

    For each anchor, one positive is drawn uniformly, and one negative with probability ∝ 1 / q(d),
    where

        q(d) ∝ d^(D-2) (1 - d²/4)^((D-3)/2)

    is the density of distances between random points of the unit sphere in D dimensions. Distances
    below the lower cut-off count as the cut-off; negatives beyond the upper one are not drawn,
    unless an anchor has no other, and then all are equally likely (as in the authors' code). An
    anchor without positives or without negatives gives no triplet.

    Differences:
        Wu et al.: draw one negative for each positive of an anchor, the same at two samples per
            class.
        Roth et al.: no upper cut-off, `upper_cutoff=None`; a sample alone in its class is its own
            positive.
        pytorch-metric-learning: `DistanceWeightedMiner`.

    Args:
        lower_cutoff: Euclidean distance of unit vectors, in (0, 2).
        upper_cutoff: the same; None draws at any distance.
        seed: of the miner's own random stream.
    """

    def __init__(
        self,
        lower_cutoff: Annotated[float, Gt(0), Lt(2)] = 0.5,
        upper_cutoff: Annotated[float, Gt(0), Le(2)] | None = 1.4,
        seed: Seed = 0,
    ) -> None:
        super().__init__()
        upper = 2.0 if upper_cutoff is None else upper_cutoff
        if not 0 < lower_cutoff < upper <= 2:
            raise ValueError(
                "lower_cutoff and upper_cutoff must be ascending and in (0, 2], "
                f"got {lower_cutoff} and {upper_cutoff}"
            )
        self.lower_cutoff, self.upper_cutoff = lower_cutoff, upper_cutoff
        self.draw = SeededRandom(seed)

    def choose(self, batch: TupleBatch) -> Triplets:
        distances, (positives, negatives) = batch.distances(), batch.pairs()
        near = negatives
        if self.upper_cutoff is not None:
            near = with_fallback(negatives & (distances < self.upper_cutoff), negatives)
        logits = -log_density(distances.clamp(min=self.lower_cutoff), batch.embeddings.shape[1])
        if self.upper_cutoff is not None:
            logits = logits.where(distances < self.upper_cutoff, 0)
        return one_triplet_per_anchor(
            self.draw.choice(positives),
            self.draw(logits.masked_fill(~near, -torch.inf)),
            where=positives.any(dim=1) & negatives.any(dim=1),
        )


def log_density(distances: Distances, dim: int) -> Distances:
    """log q(d) up to a constant; finite up to d = 2, where the density vanishes for D > 3."""
    cap = (1 - distances.square() / 4).clamp(min=torch.finfo(distances.dtype).eps)
    return (dim - 2) * distances.log() + (dim - 3) / 2 * cap.log()
