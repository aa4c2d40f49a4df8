"""Smooth-AP: Brown et al., ECCV 2020, https://arxiv.org/abs/2007.12163."""

from core.distance import Cosine
from core.kernels.smooth_ranks import SmoothStep, counts_before, mean_over_positives, with_query
from core.ranges import PositiveFloat
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class SmoothAP(TupleLoss):
    """Smooth-AP loss: one minus a smooth average precision of each anchor.

    With s the cosine similarity to the anchor, σ the sigmoid and P, N the anchor's positives and
    negatives, the smooth rank of a positive j among the positives, and among all, is

        r⁺_j = 1 + Σ_{k ∈ P, k ≠ j} σ((s_k - s_j) / T),  r_j = r⁺_j + Σ_{k ∈ N} σ((s_k - s_j) / T)

    and the loss 1 - 1/|P| Σ_{j ∈ P} r⁺_j / r_j, averaged over the anchors with positives. An anchor
    without negatives has the loss 0. Classes may be of any size. Cost and memory:
    `core.kernels.smooth_ranks`.

    Differences:
        Brown et al.: in their code the query is the first of its own positives,
            `include_query=True`; all classes of a batch must be of one size.
        pytorch-metric-learning: `SmoothAPLoss` is as the authors' code; it is silently wrong unless
            the batch is sorted by class.

    Args:
        miner: chooses P and N; None takes all pairs.
        temperature: T > 0, in units of the similarity; smaller is closer to the true precision.
        include_query: whether an anchor is one of its own positives, if references are None.
        distance: gives the similarity; None is the cosine.
        reducer: of the term `anchors`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        temperature: PositiveFloat = 0.01,
        include_query: bool = False,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Cosine(), reducer)
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature, self.include_query = temperature, include_query

    def formula(self, batch: TupleBatch) -> NamedTerms:
        similarities, pairs = batch.similarities(), batch.pairs()
        if self.include_query and batch.references is None:
            pairs = with_query(pairs)
        before = counts_before(similarities, pairs, SmoothStep(self.temperature))
        rank_among_positives = 1 + before.positives
        precision = rank_among_positives / (rank_among_positives + before.negatives)
        losses = 1 - mean_over_positives(precision, pairs.positives)
        return {"anchors": loss_terms(losses, where=pairs.positives.any(dim=1))}
