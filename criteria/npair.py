"""N-pair loss: Sohn, NIPS 2016.

Improved Deep Metric Learning with Multi-class N-pair Loss Objective,
https://papers.nips.cc/paper/6200-improved-deep-metric-learning-with-multi-class-n-pair-loss-objective
"""

from core.distance import DotProduct
from core.kernels.logsumexp import pair_cross_entropy
from core.reducer import Reducer
from core.regularizer import Regularizer
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class NPair(TupleLoss):
    """N-pair loss: a softmax of each positive pair against all negatives of its anchor.

    With s_ij the dot product of the embeddings as they are, each positive pair (a, p) has the loss

        log(1 + Σ_n exp(s_an - s_ap)),  n over the negatives of a

    averaged over the positive pairs, plus the penalty of `regularizer`, which limits the lengths. A
    pair without negatives counts as 0; without pairs the average is 0.

    In the paper a batch is one pair (a_c, p_c) of each class c, and the negatives of a_c are the
    p of the other classes; given as `tuples`, such pairs give exactly that. By default every
    positive pair takes part and every sample of another class is a negative.

    Differences:
        Roth et al.: one positive drawn for each anchor, by the miner `one_positive`; on average
            over the draws, `reducer=PerAnchor()`. All pairs give that only where no class has more
            than two samples. The penalty is the mean length, not squared;
            `regularizer=LpNorm(0.005)`. On BN-Inception they divide the embeddings by 4.
        pytorch-metric-learning: `NPairsLoss` compares the first pair of each class against the
            second samples of the other classes, given as `tuples`; `distance=Cosine()`,
            `regularizer=None`.

    Args:
        miner: chooses the tuples; None takes all pairs.
        distance: gives the similarity; None is the dot product.
        reducer: of the term `pairs`; None is the mean.
        regularizer: of the embeddings; the paper has `LpNorm(power=2)`; None adds nothing.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
        regularizer: Regularizer | None = None,
    ) -> None:
        super().__init__(miner, distance or DotProduct(), reducer, regularizer)

    def formula(self, batch: TupleBatch) -> NamedTerms:
        similarities, pairs = batch.similarities(), batch.pairs()
        return {"pairs": pair_cross_entropy(similarities, pairs)}
