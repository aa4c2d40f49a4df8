"""ROADMAP, SupAP and calibration: Ramzi et al., NeurIPS 2021, https://arxiv.org/abs/2110.01445."""

import math

from core.distance import Cosine
from core.kernels.pack_positives import pack_positives
from core.kernels.smooth_ranks import SmoothStep, counts_before, mean_over_positives, with_query
from core.ranges import Fraction, PositiveFloat
from core.reducer import LossTerms, Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class SupAP(TupleLoss):
    """ROADMAP loss: SupAP, an upper bound of one minus the average precision, and a calibration.

    With s the cosine similarity to the anchor and P, N its positives and negatives, a positive j
    has the true rank r⁺_j = #{k ∈ P: s_k >= s_j} among the positives and, before it,
    r⁻_j = Σ_{k ∈ N} H(s_k - s_j) negatives, where with the sigmoid σ

        H(x) = σ(x / T)                            x <= 0
        H(x) = σ(x / T) + 1/2                      0 < x <= δ
        H(x) = ρ (x - δ) + σ(δ / T) + 1/2          x > δ

    so that negatives far ahead of a positive keep a gradient. The loss is

        (1 - λ) (1 - 1/|P| Σ_j r⁺_j / (r⁺_j + r⁻_j)) + λ ([m⁺ - s]₊ + [s - m⁻]₊)

    where the lists of anchors with positives, the positive pairs and the negative pairs are each
    averaged separately. The second part, the calibration, has margins that hold across batches.
    Only the negatives move a rank: r⁺ has no gradient.

    Differences:
        Ramzi et al.: their code has H(x) = ρ (x - δ) + 1.44 beyond δ, which is
            `offset=1.44 - slope * reach`; counts the query as the first of its own positives,
            `include_query=True`; averages the pairs beyond their margin, `reducer=NonZeroMean()`,
            and always all lists; adds the two parts up, which is twice the loss at λ = 1/2.

    Args:
        miner: chooses P and N; None takes all pairs.
        temperature: T > 0, in units of the similarity.
        slope: ρ >= 0, ranks per unit of similarity.
        reach: δ >= 0, in units of the similarity.
        offset: makes H(x) = ρ x + offset beyond δ; None makes H continuous there.
        positive_margin: m⁺, the similarity that positive pairs should have.
        negative_margin: m⁻, the similarity that negative pairs should not have.
        balance: λ in [0, 1], the share of the calibration; 0 is SupAP alone.
        include_query: whether an anchor is one of its own positives, if references are None.
        distance: gives the similarity; None is the cosine.
        reducer: of the terms `lists`, `positives` and `negatives`; None is the mean of each.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        temperature: PositiveFloat = 0.01,
        slope: float = 100.0,
        reach: float = 0.05,
        offset: float | None = None,
        positive_margin: float = 0.9,
        negative_margin: float = 0.6,
        balance: Fraction = 0.5,
        include_query: bool = False,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Cosine(), reducer)
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        if not 0 <= balance <= 1:
            raise ValueError(f"balance must be between 0 and 1, got {balance}")
        self.balance, self.include_query = balance, include_query
        self.positive_margin, self.negative_margin = positive_margin, negative_margin
        continued = 1 / (1 + math.exp(-reach / temperature)) + 0.5
        height = continued if offset is None else slope * reach + offset
        self.step = SmoothStep(temperature, lift=0.5, reach=reach, slope=slope, height=height)

    def formula(self, batch: TupleBatch) -> NamedTerms:
        similarities, pairs = batch.similarities(), batch.pairs()
        lists = with_query(pairs) if self.include_query and batch.references is None else pairs
        before = counts_before(similarities, lists, self.step, among_positives=SmoothStep(0))
        rank = 1 + before.positives
        precision = mean_over_positives(rank / (rank + before.negatives), lists.positives)
        listed = pairs.positives.any(dim=1)
        of_positives, valid = pack_positives(similarities, pairs.positives)
        pull = self.balance * (self.positive_margin - of_positives).relu()
        push = self.balance * (similarities - self.negative_margin).relu()
        return {
            "lists": LossTerms(
                ((1 - self.balance) * (1 - precision)).where(listed, 0), listed, listed
            ),
            "positives": loss_terms(pull, where=valid),
            "negatives": loss_terms(push, where=pairs.negatives),
        }
