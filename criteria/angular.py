"""Angular loss: Wang et al., ICCV 2017, https://arxiv.org/abs/1708.01682."""

import math

import torch
from torch import Tensor, nn

from core.distance import Cosine, DotProduct
from core.logsumexp import pair_cross_entropy
from core.reducer import Mean, Reducer, terms_of
from core.regularizer import Regularizer
from core.tuples import select_tuples, to_pairs
from core.types import (
    Embeddings,
    Labels,
    Mask,
    Miner,
    ReferenceLabels,
    References,
    Scalar,
    Similarities,
    Tuples,
)


class Angular(nn.Module):
    """The angle at which a negative sees a positive pair must be small, beside the N-pair loss.

    For each positive pair (a, p) of unit vectors, n over the negatives of a, and t = tan² α,

        A_ap = log(1 + Σ_n exp(4t (a + p)·n - 2(1 + t) a·p))

    and with N_ap the N-pair loss of the pair (`criteria.npair`, dot products of the embeddings as
    they are), the loss is the mean of N_ap + λ A_ap over the positive pairs, plus the penalty of
    `regularizer`. A pair without negatives counts as 0; without pairs the mean is 0. The sum over
    n is a product of two matrices: O(N M) memory, with references O(N M + M²).

    Differences:
        Roth et al.: one positive drawn for each anchor, the same with two samples per class;
            exponents of the N-pair part clamped to ±50; the penalty is the mean length, not
            squared; `regularizer=LpNorm(0.005)`.
        pytorch-metric-learning: the angular part alone, at 40 degrees, of unit anchors and
            positives but of negatives as they are; for unit embeddings, `npair_weight=0`,
            `angular_weight=1`, `alpha=40`.

    Args:
        miner: chooses the tuples; None takes all pairs.
        alpha: α, degrees, in (0, 60]; 60 is the angle in a triangle of equal sides, and the side
            between the positives should be the shortest.
        angular_weight: λ, of the angular part.
        npair_weight: of the N-pair part, 1 in the paper.
        reducer: of the term `pairs`; None is the mean.
        regularizer: of the embeddings; None adds nothing.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        alpha: float = 45.0,
        angular_weight: float = 2.0,
        npair_weight: float = 1.0,
        reducer: Reducer | None = None,
        regularizer: Regularizer | None = None,
    ) -> None:
        super().__init__()
        if not 0 < alpha <= 60:
            raise ValueError(f"alpha must be in (0, 60] degrees, got {alpha}")
        self.miner, self.alpha = miner, alpha
        self.angular_weight, self.npair_weight = angular_weight, npair_weight
        self.reducer = reducer or Mean()
        self.regularizer = regularizer

    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        tuples: Tuples | None = None,
        *,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Scalar:
        chosen = select_tuples(self.miner, embeddings, labels, tuples, references, reference_labels)
        cosines = Cosine().similarity(embeddings, references)
        pairs = to_pairs(chosen, *cosines.shape)
        among = cosines if references is None else Cosine().similarity(references)
        angular = self._angular(cosines, among, pairs.negatives)
        npair = pair_cross_entropy(DotProduct().similarity(embeddings, references), pairs).losses
        losses = self.npair_weight * npair + self.angular_weight * angular
        loss = self.reducer(labels, pairs=terms_of(losses, where=pairs.positives))
        return loss if self.regularizer is None else loss + self.regularizer(embeddings)

    def _angular(self, cosines: Similarities, among: Tensor, negatives: Mask) -> Tensor:
        """A_ap of each anchor and reference, from a·p and, `among` the references, p·n.

        Σ_n exp(4t a·n) exp(4t p·n) is a matrix product. As a cosine is at most 1, each factor is
        scaled by exp(-4t): none overflows, and with t <= 3 no product of two underflows.
        """
        t = math.tan(math.radians(self.alpha)) ** 2
        of_anchors = (4 * t * (cosines - 1)).exp().masked_fill(~negatives, 0)
        of_positives = (4 * t * (among - 1)).exp()
        with torch.autocast(cosines.device.type, enabled=False):
            sums = of_anchors @ of_positives.T
        empty = sums == 0
        logs = sums.masked_fill(empty, 1).log().masked_fill(empty, -torch.inf)
        return nn.functional.softplus(8 * t + logs - 2 * (1 + t) * cosines)
