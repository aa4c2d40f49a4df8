"""Tuplet margin loss: Yu and Tao, Deep Metric Learning with Tuplet Margin Loss, ICCV 2019.

https://openaccess.thecvf.com/content_ICCV_2019/papers/Yu_Deep_Metric_Learning_With_Tuplet_Margin_Loss_ICCV_2019_paper.pdf
"""

import math

import torch.nn.functional as F
from torch import Tensor

from core.distance import Cosine, safe_sqrt
from core.kernels.logsumexp import log_sum_exp
from core.kernels.pack_positives import pack_positives
from core.ranges import PositiveFloat
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Miner


class TupletMargin(TupleLoss):
    """Tuplet margin loss: a softmax of each positive pair, with slack in its angle, over negatives.

    With θ the angle between two embeddings, s the scale and β the margin, each positive pair
    (a, p) makes a tuplet with the negatives n of its anchor and has the loss

        log(1 + Σ_n exp(s (cos θ_an - cos(θ_ap - β))))

    averaged over the tuplets. The margin is a slack: the loss is least for a positive at the angle
    β, not at 0, which keeps the hardest positives from dominating. A positive pair whose anchor has
    no negatives has the loss 0. The paper adds the intra-pair variance loss. It takes no
    `distance`: the margin is an angle.

    Differences:
        pytorch-metric-learning: `TupletMarginLoss`, the same.

    Args:
        miner: chooses the tuples; None takes all pairs.
        margin: β in degrees.
        scale: s > 0.
        reducer: of the term `tuplets`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        margin: float = 5.73,
        scale: PositiveFloat = 64.0,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, Cosine(), reducer)
        if scale <= 0:
            raise ValueError(f"scale must be positive, got {scale}")
        self.scale, self.margin = scale, math.radians(margin)

    def formula(self, batch: TupleBatch) -> NamedTerms:
        cosines = batch.similarities()
        pairs = batch.pairs()
        of_positives, valid = pack_positives(cosines, pairs.positives)
        of_negatives = log_sum_exp(self.scale * cosines, where=pairs.negatives)
        hardness = of_negatives - self.scale * self._relaxed(of_positives)
        return {"tuplets": loss_terms(F.softplus(hardness), where=valid)}

    def _relaxed(self, cosines: Tensor) -> Tensor:
        """cos(θ - β) = cos θ cos β + sin θ sin β, of finite slope everywhere."""
        sines = safe_sqrt((1 - cosines.square()).clamp(min=0))
        return cosines * math.cos(self.margin) + sines * math.sin(self.margin)
