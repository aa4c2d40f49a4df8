"""Distance weighted sampling: Wu et al., ICCV 2017, https://arxiv.org/abs/1706.07567."""

from typing import Annotated, Literal

import torch
from annotated_types import Gt, Le, Lt
from torch import Tensor

from core.kernels.pack_positives import pack_positive_indices
from core.random import SeededRandom
from core.ranges import PositiveInt, Seed
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.tuples import list_triplets, one_triplet_per_anchor, with_fallback
from core.types import Distances, Mask, Triplets


class DistanceWeightedMiner(TupleMiner):
    """Distance weighted miner: draws negatives about uniformly over the range of distances.

    For each triplet of an anchor, a positive is drawn uniformly, and a negative with probability
    ∝ 1 / q(d), where

        q(d) ∝ d^(D-2) (1 - d²/4)^((D-3)/2)

    is the density of distances between random points of the unit sphere in D dimensions. Distances
    below the lower cut-off count as the cut-off; negatives beyond the upper one are not drawn,
    unless an anchor has no other, and then all are equally likely (as in the authors' code). An
    anchor without positives or without negatives gives no triplet. Several triplets of an anchor
    are drawn with replacement. It takes no `distance`: the density is that of Euclidean distances
    of unit vectors.

    Differences:
        Wu et al.: draw one negative for each positive of an anchor,
            `triplets_per_anchor="all_positives"`; the same at two samples per class.
        Roth et al.: no upper cut-off, `upper_cutoff=None`; a sample alone in its class is its own
            positive.
        pytorch-metric-learning: `DistanceWeightedMiner` draws as many triplets per anchor as its
            class has samples in the batch.

    Args:
        lower_cutoff: Euclidean distance of unit vectors, in (0, 2).
        upper_cutoff: the same; None draws at any distance.
        seed: of the miner's own random stream.
        triplets_per_anchor: how many triplets each anchor gives; "all_positives" gives one for each
            of its positives.
    """

    def __init__(
        self,
        lower_cutoff: Annotated[float, Gt(0), Lt(2)] = 0.5,
        upper_cutoff: Annotated[float, Gt(0), Le(2)] | None = 1.4,
        seed: Seed = 0,
        triplets_per_anchor: PositiveInt | Literal["all_positives"] = 1,
    ) -> None:
        super().__init__()
        upper = 2.0 if upper_cutoff is None else upper_cutoff
        if not 0 < lower_cutoff < upper <= 2:
            raise ValueError(
                "lower_cutoff and upper_cutoff must be ascending and in (0, 2], "
                f"got {lower_cutoff} and {upper_cutoff}"
            )
        if triplets_per_anchor != "all_positives" and triplets_per_anchor < 1:
            raise ValueError(
                'triplets_per_anchor must be "all_positives" or at least 1, '
                f"got {triplets_per_anchor}"
            )
        self.lower_cutoff, self.upper_cutoff = lower_cutoff, upper_cutoff
        self.triplets_per_anchor = triplets_per_anchor
        self.draw = SeededRandom(seed)

    def choose(self, batch: TupleBatch) -> Triplets:
        distances, (positives, negatives) = batch.distances(), batch.pairs()
        near = negatives
        if self.upper_cutoff is not None:
            near = with_fallback(negatives & (distances < self.upper_cutoff), negatives)
        logits = -log_density(distances.clamp(min=self.lower_cutoff), batch.embeddings.shape[1])
        if self.upper_cutoff is not None:
            logits = logits.where(distances < self.upper_cutoff, 0)
        logits = logits.masked_fill(~near, -torch.inf)
        where = positives.any(dim=1) & negatives.any(dim=1)
        if self.triplets_per_anchor == 1:
            return one_triplet_per_anchor(self.draw.choice(positives), self.draw(logits), where)
        chosen, valid = self._choose_positives(positives)
        drawn = self.draw.several(logits, chosen.shape[1])
        return list_triplets(chosen, drawn, where=valid & where[:, None])

    def _choose_positives(self, positives: Mask) -> tuple[Tensor, Mask]:
        """The positive of each triplet of an anchor, and whether there is one: (N, K) both."""
        if self.triplets_per_anchor == "all_positives":
            return pack_positive_indices(positives)
        chosen = self.draw.several(positives.log(), self.triplets_per_anchor)
        return chosen, torch.ones_like(chosen, dtype=torch.bool)


def log_density(distances: Distances, dim: int) -> Distances:
    """log q(d) up to a constant; finite up to d = 2, where the density vanishes for D > 3."""
    cap = (1 - distances.square() / 4).clamp(min=torch.finfo(distances.dtype).eps)
    return (dim - 2) * distances.log() + (dim - 3) / 2 * cap.log()
