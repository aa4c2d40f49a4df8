"""Multi-Similarity loss: Wang et al., CVPR 2019, https://arxiv.org/abs/1904.06627."""

from core.distance import Cosine
from core.kernels.logsumexp import log1p_sum_exp
from core.kernels.pack_positives import pack_positives
from core.ranges import PositiveFloat
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class MultiSimilarity(TupleLoss):
    """Multi-Similarity loss: weighs each pair by its hardness relative to the anchor's other pairs.

    With s_ij the cosine similarity of samples i and j, and P_i, N_i the positives and negatives
    of anchor i,

        L_i = 1/α log(1 + Σ_{j ∈ P_i} exp(-α (s_ij - λ)))
            + 1/β log(1 + Σ_{j ∈ N_i} exp( β (s_ij - λ)))

    and the loss is the mean of L_i over all N anchors. An empty P_i or N_i contributes 0.

    Differences:
        authors' code: drops an anchor if either is empty, and divides by N as well; with the
            miner of the paper either is empty only if both are; β = 40.
        Roth et al.: divide by the anchors that are left; `reducer=NonZeroMean()`. A sample alone in
            its class is an error.
        pytorch-metric-learning: `MultiSimilarityLoss`, the same.

    Args:
        miner: chooses P and N; the paper has `batch_mining.multisimilarity`; None takes all pairs.
        alpha: sharpness of the positive term, > 0.
        beta: sharpness of the negative term, > 0.
        base: λ, the similarity above which positives, and below which negatives, count little.
        distance: gives the similarity; None is the cosine.
        reducer: of the term `anchors`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        alpha: PositiveFloat = 2.0,
        beta: PositiveFloat = 50.0,
        base: float = 0.5,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Cosine(), reducer)
        if alpha <= 0 or beta <= 0:
            raise ValueError(f"alpha and beta must be positive, got {alpha} and {beta}")
        self.alpha, self.beta, self.base = alpha, beta, base

    def formula(self, batch: TupleBatch) -> NamedTerms:
        excess = batch.similarities() - self.base
        pairs = batch.pairs()
        of_positives, valid = pack_positives(excess, pairs.positives)
        pull = log1p_sum_exp(-self.alpha * of_positives, where=valid) / self.alpha
        push = log1p_sum_exp(self.beta * excess, where=pairs.negatives) / self.beta
        return {"anchors": loss_terms(pull + push)}
