"""Recall@k surrogate: Patel et al., CVPR 2022, https://arxiv.org/abs/2108.11179."""

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import MinLen

from core.distance import Cosine
from core.kernels.pack_positives import pack_positives
from core.kernels.smooth_ranks import SmoothStep, counts_before
from core.ranges import PositiveFloat, PositiveInt
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner, Pairs


class RecallAtK(TupleLoss):
    """Recall@k surrogate loss: one minus a smooth recall@k of each anchor, averaged over several k.

    With s the cosine similarity to the anchor, σ the sigmoid and P, N the anchor's positives and
    negatives, the smooth rank of a positive j and the recall are

        r_j = 1 + Σ_{x ∈ P ∪ N, x ≠ j} σ((s_x - s_j) / T),  R_k = 1/|P| Σ_{j ∈ P} σ((k - r_j) / T_k)

    and the loss is the mean of 1 - R_k over the k's, averaged over the anchors with positives. A
    recall of 1 is impossible if k < |P|; `attainable` divides by min(k, |P|) instead.

    Differences:
        Patel et al.: their code has `attainable=True` and leaves the query in its list, always
            first, which lowers all ranks by one, `include_query=True`. Their similarity mixup is
            not part of this loss.

    Args:
        miner: chooses P and N; None takes all pairs.
        k: the lengths of the lists, >= 1.
        rank_temperature: T > 0, in units of the similarity.
        k_temperature: T_k > 0, in ranks, the same for all k.
        attainable: whether to divide by min(k, |P|).
        include_query: whether the anchor takes a place in its list, if references are None.
        distance: gives the similarity; None is the cosine.
        reducer: of the term `anchors`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        k: Annotated[Sequence[PositiveInt], MinLen(1)] = (1, 2, 4, 8, 16),
        rank_temperature: PositiveFloat = 0.01,
        k_temperature: PositiveFloat = 1.0,
        attainable: bool = False,
        include_query: bool = False,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Cosine(), reducer)
        if not k or min(k) < 1:
            raise ValueError(f"k must be numbers of at least 1, got {list(k)}")
        if rank_temperature <= 0 or k_temperature <= 0:
            raise ValueError(
                "rank_temperature and k_temperature must be positive, "
                f"got {rank_temperature} and {k_temperature}"
            )
        self.k = tuple(k)
        self.rank_temperature, self.k_temperature = rank_temperature, k_temperature
        self.attainable, self.include_query = attainable, include_query

    def formula(self, batch: TupleBatch) -> NamedTerms:
        similarities = batch.similarities()
        positives, others = batch.pairs()
        if self.include_query and batch.references is None:
            others = others | torch.eye(len(others), dtype=torch.bool, device=others.device)
        before = counts_before(
            similarities, Pairs(positives, others), SmoothStep(self.rank_temperature)
        )
        ranks, valid = pack_positives(1 + before.positives + before.negatives, positives)
        counts = valid.sum(dim=1).clamp(min=1)
        recalls = []
        for k in self.k:
            found = ((k - ranks) / self.k_temperature).sigmoid().where(valid, 0).sum(dim=1)
            recalls.append(found / (counts.clamp(max=k) if self.attainable else counts))
        losses = 1 - torch.stack(recalls).mean(dim=0)
        return {"anchors": loss_terms(losses, where=valid.any(dim=1))}
