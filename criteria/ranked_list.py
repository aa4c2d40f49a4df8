"""Ranked list loss: Wang et al., CVPR 2019 and PAMI 2021, https://arxiv.org/abs/1903.03238."""

import torch
from torch import Tensor

from core.distance import Lp
from core.ranges import Fraction, NonNegativeFloat
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Mask, Miner


class RankedList(TupleLoss):
    """Ranked list loss: positives lie in a ball around the anchor, negatives outside a larger one.

    With d the Euclidean distance of unit vectors, α the boundary and m the margin, pairs within
    their bounds are trivial and left out. Over the other pairs of an anchor,

        L⁺ = Σ w⁺ [d - (α - m)]₊ / Σ w⁺ over positives,  w⁺ = exp(T⁺ [d - (α - m)])
        L⁻ = Σ w⁻ [α - d]₊       / Σ w⁻ over negatives,  w⁻ = exp(T⁻ [α - d])

    so that harder pairs weigh more, and the loss is the mean of (1 - λ) L⁺ + λ L⁻ over all N
    anchors. A side without nontrivial pairs contributes 0. The weights have a gradient, too.

    Differences:
        pytorch-metric-learning: `RankedListLoss` adds 1e-5 per pair to the sum of the weights;
            takes no tuples; leaves out negatives at distance 0, the hardest.

    Args:
        miner: chooses the tuples; None takes all pairs.
        boundary: α, in units of `distance`.
        margin: m, between the balls, in units of `distance`, in [0, α].
        positive_temperature: T⁺ >= 0; 0 weighs all nontrivial positives alike.
        negative_temperature: T⁻ >= 0; 0 weighs all nontrivial negatives alike.
        balance: λ in [0, 1], the share of the negatives.
        distance: None is the Euclidean distance of unit vectors.
        reducer: of the term `anchors`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        boundary: float = 1.2,
        margin: NonNegativeFloat = 0.4,
        positive_temperature: float = 0.0,
        negative_temperature: float = 10.0,
        balance: Fraction = 0.5,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Lp(), reducer)
        if not 0 <= margin <= boundary:
            raise ValueError(f"margin must be in 0..{boundary} (boundary), got {margin}")
        if not 0 <= balance <= 1:
            raise ValueError(f"balance must be between 0 and 1, got {balance}")
        self.balance = balance
        self.boundary, self.margin = boundary, margin
        self.positive_temperature = positive_temperature
        self.negative_temperature = negative_temperature

    def formula(self, batch: TupleBatch) -> NamedTerms:
        distances = batch.distances()
        positives, negatives = batch.pairs()
        too_far = distances - (self.boundary - self.margin)
        too_close = self.boundary - distances
        pull = weighted_excess(too_far, positives, self.positive_temperature)
        push = weighted_excess(too_close, negatives, self.negative_temperature)
        losses = (1 - self.balance) * pull + self.balance * push
        return {"anchors": loss_terms(losses)}


def weighted_excess(excess: Tensor, where: Mask, temperature: float) -> Tensor:
    """Mean of the marked entries above 0 of each row, weighed by exp(temperature * entry)."""
    nontrivial = where & (excess > 0)
    lowest = torch.finfo(excess.dtype).min  # finite, so that a row without any is not NaN
    weights = (temperature * excess).masked_fill(~nontrivial, lowest).softmax(dim=1)
    return (weights * excess).where(nontrivial, 0).sum(dim=1)
