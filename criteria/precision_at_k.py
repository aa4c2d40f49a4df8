"""Surrogate precision@k of open-metric-learning, https://github.com/OML-Team/open-metric-learning.

It replaces the recall in Patel et al. by the precision, https://arxiv.org/abs/2108.11179.
"""

from core.distance import Lp
from core.kernels.pack_positives import pack_positives
from core.kernels.smooth_ranks import SmoothStep, counts_before, with_query
from core.ranges import PositiveFloat, PositiveInt
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class PrecisionAtK(TupleLoss):
    """Precision@k loss: one minus a smooth precision@k of each anchor.

    With d the Euclidean distance to the anchor, σ the sigmoid and P, N the anchor's positives and
    negatives, the smooth rank of a positive j and the precision are

        r_j = Σ_{x ∈ P ∪ N} σ((d_j - d_x) / T),  1/min(k, |P|) Σ_{j ∈ P} σ((k - r_j) / T_k)

    where j itself counts 1/2 in r_j, so that the k-th is well within the list. The loss is averaged
    over the anchors with positives.

    Differences:
        open-metric-learning: the query is one of its own positives, so that k becomes k + 1,
            `include_query=True`; it counts anchors that have no other positive, too.

    Args:
        miner: chooses P and N; None takes all pairs.
        k: the length of the list, >= 1.
        k_temperature: T_k > 0, in ranks.
        rank_temperature: T > 0, in units of `distance`.
        include_query: whether an anchor is one of its own positives, if references are None, and
            the list one longer.
        distance: None is the Euclidean distance, without normalisation.
        reducer: of the term `anchors`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        k: PositiveInt = 5,
        k_temperature: PositiveFloat = 1.0,
        rank_temperature: PositiveFloat = 0.01,
        include_query: bool = False,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Lp(normalize=False), reducer)
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if rank_temperature <= 0 or k_temperature <= 0:
            raise ValueError(
                "rank_temperature and k_temperature must be positive, "
                f"got {rank_temperature} and {k_temperature}"
            )
        self.k, self.include_query = k, include_query
        self.rank_temperature, self.k_temperature = rank_temperature, k_temperature

    def formula(self, batch: TupleBatch) -> NamedTerms:
        similarities = batch.similarities()
        pairs, k = batch.pairs(), self.k
        if self.include_query and batch.references is None:
            pairs, k = with_query(pairs), k + 1
        before = counts_before(similarities, pairs, SmoothStep(self.rank_temperature))
        ranks, valid = pack_positives(0.5 + before.positives + before.negatives, pairs.positives)
        found = ((k - ranks) / self.k_temperature).sigmoid().where(valid, 0).sum(dim=1)
        losses = 1 - found / valid.sum(dim=1).clamp(min=1, max=k)
        return {"anchors": loss_terms(losses, where=valid.any(dim=1))}
