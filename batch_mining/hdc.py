"""Hard-aware selection of pairs: Yuan et al., ICCV 2017, https://arxiv.org/abs/1611.05720."""

import torch
from torch import Tensor

from core.batch_checks import can_read_without_sync, check_inputs
from core.distance import Lp
from core.ranges import PositiveFraction
from core.tuples import select_tuples, to_pairs
from core.types import (
    Distance,
    Distances,
    Embeddings,
    Labels,
    Mask,
    Miner,
    Pairs,
    ReferenceLabels,
    References,
)


class HDCMiner:
    """HDC miner: the hardest fraction of all positive pairs, and of all negative pairs.

    Of P positive pairs the ceil(fraction P) farthest, of the negative pairs likewise the nearest.
    Each cascade of Yuan et al. has a fraction of its own; the pairs of another miner, such as an
    earlier cascade, are filtered with `miner`. Takes O(N M) time, or a sort on an accelerator. Of
    equally far pairs the first ones are kept. Positives and negatives are chosen independently: an
    anchor may have only one kind.

    Differences:
        pytorch-metric-learning: `HDCMiner`.

    Args:
        fraction: of the pairs of each kind, in (0, 1].
        miner: whose pairs are filtered; None takes all.
        distance: None is the Euclidean distance of unit vectors.
    """

    def __init__(
        self,
        fraction: PositiveFraction = 0.5,
        miner: Miner | None = None,
        distance: Distance | None = None,
    ) -> None:
        if not 0 < fraction <= 1:
            raise ValueError(f"fraction must be in (0, 1], got {fraction}")
        self.fraction, self.miner = fraction, miner
        self.distance = distance or Lp()

    @torch.no_grad()
    def __call__(
        self,
        embeddings: Embeddings,
        labels: Labels,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Pairs:
        check_inputs(embeddings, labels, references, reference_labels)
        tuples = select_tuples(self.miner, embeddings, labels, None, references, reference_labels)
        distances = self.distance(embeddings, references)
        positives, negatives = to_pairs(tuples, *distances.shape)
        return Pairs(
            hardest(distances, positives, self.fraction),
            hardest(-distances, negatives, self.fraction),
        )


def hardest(hardness: Distances, candidates: Mask, fraction: float) -> Mask:
    """The given fraction of all candidates, rounded up, that are hardest."""
    keys = hardness.masked_fill(~candidates, -torch.inf)
    count = (fraction * candidates.sum().double()).ceil().long()
    least = _at_rank(keys.flatten(), count)
    harder, level = keys > least, candidates & (keys == least)
    place = level.flatten().cumsum(dim=0, dtype=torch.int32).view_as(level)
    return harder | (level & (place <= count - harder.sum()))


def _at_rank(keys: Tensor, rank: Tensor) -> Tensor:
    """The largest but rank - 1; sorted for, where the host would wait to learn the rank."""
    if can_read_without_sync(keys):
        return keys.kthvalue(len(keys) + 1 - max(1, int(rank))).values
    return keys.sort(descending=True).values.gather(0, (rank - 1).clamp(min=0)[None])
