"""Hard-aware selection of pairs: Yuan et al., ICCV 2017, https://arxiv.org/abs/1611.05720."""

import torch
from torch import nn

from core.batch_checks import check_inputs
from core.distance import Lp
from core.kernels.hardest_pairs import hardest
from core.ranges import PositiveFraction
from core.tuples import select_tuples, to_pairs
from core.types import (
    Distance,
    Embeddings,
    Labels,
    Miner,
    Pairs,
    ReferenceLabels,
    References,
)


class HDCMiner(nn.Module):
    """HDC miner: keeps the hardest fraction of all positive pairs and of all negative pairs.

    It keeps the ceil(fraction P) farthest of P positive pairs, and likewise the nearest of the
    negative pairs. Each cascade of Yuan et al. has its own fraction; `miner` makes it filter the
    pairs of another miner, such as an earlier cascade. It takes O(N M) time, or a sort on an
    accelerator. Of equally far pairs it keeps the first ones. Positives and negatives are chosen
    independently: an anchor may have only one kind.

    Differences:
        pytorch-metric-learning: `HDCMiner`.

    Args:
        fraction: of the pairs of each kind, in (0, 1].
        miner: gives the pairs to filter; None takes all pairs.
        distance: None is the Euclidean distance of unit vectors.
    """

    def __init__(
        self,
        fraction: PositiveFraction = 0.5,
        miner: Miner | None = None,
        distance: Distance | None = None,
    ) -> None:
        super().__init__()
        if not 0 < fraction <= 1:
            raise ValueError(f"fraction must be in (0, 1], got {fraction}")
        self.fraction, self.miner = fraction, miner
        self.distance = distance or Lp()

    @torch.no_grad()
    def forward(
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
