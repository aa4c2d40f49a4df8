"""Generalised lifted structure loss: Hermans et al., 2017, https://arxiv.org/abs/1703.07737."""

from core.distance import Lp
from core.kernels.logsumexp import log_sum_exp
from core.kernels.pack_positives import pack_positives
from core.reducer import Reducer, loss_terms
from core.regularizer import Regularizer
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class GeneralizedLifted(TupleLoss):
    """Generalised lifted structure loss: compares the soft farthest positive and nearest negative.

    With d the Euclidean distance of the embeddings as they are, and P_a, N_a the positives and
    negatives of anchor a,

        [log Σ_{p ∈ P_a} exp(d_ap - m⁺) + log Σ_{n ∈ N_a} exp(margin - d_an)]₊

    averaged over the anchors that have both, plus the penalty of `regularizer`. Other anchors
    contribute nothing. The paper has m⁺ = 0.

    Differences:
        Roth et al.: adds the mean length of the embeddings; `regularizer=LpNorm(0.005)`. On today's
            torch their distances are norms over the wrong axis.
        pytorch-metric-learning: `GeneralizedLiftedStructureLoss` has the distance of unit vectors;
            averages over all anchors, and an empty P_a or N_a adds 0; for batches without such
            anchors `distance=Lp()`. Its `neg_margin` is `margin`, its `pos_margin` m⁺.

    Args:
        miner: chooses the tuples; None takes all pairs.
        margin: in units of `distance`.
        distance: None is the Euclidean distance of the embeddings as they are.
        reducer: of the term `anchors`; None is the mean.
        regularizer: of the embeddings; None adds nothing, as the paper.
        positive_margin: m⁺, in units of `distance`.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        margin: float = 1.0,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
        regularizer: Regularizer | None = None,
        positive_margin: float = 0.0,
    ) -> None:
        super().__init__(miner, distance or Lp(normalize=False), reducer, regularizer)
        self.margin, self.positive_margin = margin, positive_margin

    def formula(self, batch: TupleBatch) -> NamedTerms:
        distances = batch.distances()
        positives, negatives = batch.pairs()
        farthest = log_sum_exp(*pack_positives(distances - self.positive_margin, positives))
        nearest = log_sum_exp(self.margin - distances, where=negatives)
        both = positives.any(dim=1) & negatives.any(dim=1)
        hinges = (farthest + nearest).squeeze(1).relu()
        return {"anchors": loss_terms(hinges, where=both)}
