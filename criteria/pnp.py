"""Penalise negatives before positives, PNP: Li et al., 2021, https://arxiv.org/abs/2102.04640."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from core.distance import Cosine
from core.kernels.smooth_ranks import SmoothStep, counts_before, mean_over_positives, with_query
from core.ranges import PositiveFloat
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner

VARIANTS: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "O": lambda r, _alpha, _b: r,
    "Iu": lambda r, _alpha, _b: (1 + r) * r.log1p(),
    "Ib": lambda r, _alpha, b: (b * r - (b * r).log1p()) / b**2,
    "Ds": lambda r, _alpha, _b: r.log1p(),
    "Dq": lambda r, alpha, _b: 1 - (1 + r) ** -alpha,
}


class PNP(TupleLoss):
    """PNP loss: penalises the smooth number of negatives ranked before each positive of an anchor.

    With s the cosine similarity to the anchor, σ the sigmoid and P, N the anchor's positives and
    negatives, R_j = Σ_{k ∈ N} σ((s_k - s_j) / T) negatives come before the positive j. The loss of
    the anchor is the mean over j ∈ P of

        O   R
        Iu  (1 + R) log(1 + R)              gradient increases with R, without bound
        Ib  (b R - log(1 + b R)) / b²       gradient increases with R, up to 1/b
        Ds  log(1 + R)                      gradient decreases with R
        Dq  1 - 1 / (1 + R)^α               gradient decreases faster, even more with a larger α

    averaged over the anchors with positives. An anchor without negatives has the loss 0. The
    paper finds Ds and Dq best: a positive with many negatives before it may be of another cluster.

    Differences:
        Li et al.: in their code the query is one of its own positives, `include_query=True`, and
            all classes of a batch must be of one size.
        pytorch-metric-learning: `PNPLoss` has `include_query=True`.

    Args:
        miner: chooses P and N; None takes all pairs.
        variant: one of the five above.
        alpha: α > 0 of Dq.
        b: > 0, of Ib.
        temperature: T > 0, in units of the similarity.
        include_query: whether an anchor is one of its own positives, if references are None.
        distance: gives the similarity; None is the cosine.
        reducer: of the term `anchors`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        variant: Literal["O", "Iu", "Ib", "Ds", "Dq"] = "O",
        alpha: PositiveFloat = 1.0,
        b: PositiveFloat = 2.0,
        temperature: PositiveFloat = 0.01,
        include_query: bool = False,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Cosine(), reducer)
        if variant not in VARIANTS:
            raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
        if min(alpha, b, temperature) <= 0:
            raise ValueError(
                f"alpha, b and temperature must be positive, got {alpha}, {b}, {temperature}"
            )
        self.variant, self.alpha, self.b = variant, alpha, b
        self.temperature, self.include_query = temperature, include_query

    def formula(self, batch: TupleBatch) -> NamedTerms:
        similarities, pairs = batch.similarities(), batch.pairs()
        if self.include_query and batch.references is None:
            pairs = with_query(pairs)
        before = counts_before(similarities, pairs, SmoothStep(self.temperature)).negatives
        penalties = VARIANTS[self.variant](before, self.alpha, self.b)
        losses = mean_over_positives(penalties, pairs.positives)
        return {"anchors": loss_terms(losses, where=pairs.positives.any(dim=1))}
