"""Angular loss: Wang et al., ICCV 2017, https://arxiv.org/abs/1708.01682."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Gt, Le
from torch import Tensor

from core.distance import Cosine, DotProduct
from core.kernels.logsumexp import log_sum_exp
from core.kernels.pack_positives import pack_positive_indices
from core.ranges import NonNegativeFloat
from core.reducer import Reducer, loss_terms
from core.regularizer import Regularizer
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Mask, Miner, References, Similarities

FEW = 8  # positives of an anchor up to which a sum for each is faster than a matrix product


class Angular(TupleLoss):
    """Angular loss: bounds the angle at the negative of a triplet, and adds the N-pair loss.

    For each positive pair (a, p) of unit vectors, n over the negatives of a, and t = tan² α,

        A_ap = log(1 + Σ_n exp(4t (a + p)·n - 2(1 + t) a·p))

    and with N_ap the N-pair loss of the pair (`criteria.npair`, dot products of the embeddings as
    they are), the loss is the mean of N_ap + λ A_ap over the positive pairs, plus the penalty of
    `regularizer`. A pair without negatives counts as 0; without pairs the mean is 0. The sum over
    n takes O(N M P) time for at most P positives of an anchor; where they are many, and where the
    host would wait for the device to know P, it is a product of two matrices instead. O(N M)
    memory, with references O(N M + M²). It takes no `distance`: the bound is on an angle.

    Differences:
        Roth et al.: one positive drawn for each anchor, by the miner `one_positive`; exponents of
            the N-pair part clamped to ±50; an error where classes differ in size; the penalty is
            the mean length, not squared; `regularizer=LpNorm(0.005)`.
        pytorch-metric-learning: `AngularLoss` is the angular part alone, at 40 degrees, of unit
            anchors and positives but of negatives as they are; for unit embeddings,
            `npair_weight=0, angular_weight=1, alpha=40`. With tuples, it takes all negatives of an
            anchor.

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
        alpha: Annotated[float, Gt(0), Le(60)] = 45.0,
        angular_weight: NonNegativeFloat = 2.0,
        npair_weight: NonNegativeFloat = 1.0,
        reducer: Reducer | None = None,
        regularizer: Regularizer | None = None,
    ) -> None:
        super().__init__(miner, Cosine(), reducer, regularizer)
        if not 0 < alpha <= 60:
            raise ValueError(f"alpha must be in (0, 60] degrees, got {alpha}")
        self.t = math.tan(math.radians(alpha)) ** 2
        self.angular_weight, self.npair_weight = angular_weight, npair_weight

    def formula(self, batch: TupleBatch) -> NamedTerms:
        cosines = batch.similarities()
        dots = DotProduct().similarity(batch.embeddings, batch.references)
        pairs = batch.pairs()
        positives, valid = pack_positive_indices(pairs.positives)
        hardness = log_sum_exp(dots, where=pairs.negatives) - dots.gather(1, positives)
        sums = self._sums(cosines, batch.references, pairs.negatives, positives)
        angles = sums - 2 * (1 + self.t) * cosines.gather(1, positives)
        losses = self.npair_weight * F.softplus(hardness) + self.angular_weight * F.softplus(angles)
        return {"pairs": loss_terms(losses, where=valid)}

    def _sums(
        self,
        cosines: Similarities,
        references: References | None,
        negatives: Mask,
        positives: Tensor,
    ) -> Tensor:
        """log Σ_n exp(4t (a + p)·n) of each anchor a and its P positives, (N, P).

        As a cosine is at most 1, each factor exp(4t a·n) and exp(4t p·n) is scaled by exp(-4t):
        none overflows, and with t <= 3 no product of two underflows.
        """
        faces = (4 * self.t * (cosines - 1)).exp()
        of_anchors = faces.masked_fill(~negatives, 0)
        if references is None:
            of_positives = faces
        else:
            of_positives = (4 * self.t * (Cosine().similarity(references) - 1)).exp()
        if positives.shape[1] <= FEW:
            each = (of_positives.index_select(0, column) for column in positives.T)
            sums = torch.stack([(of_anchors * one).sum(dim=1) for one in each], dim=1)
        else:
            with torch.autocast(cosines.device.type, enabled=False):
                sums = (of_anchors @ of_positives.T).gather(1, positives)
        empty = sums == 0
        return 8 * self.t + sums.masked_fill(empty, 1).log().masked_fill(empty, -torch.inf)
