"""Contrastive loss: Hadsell et al., CVPR 2006, https://doi.org/10.1109/CVPR.2006.100."""

from typing import Annotated

from annotated_types import Ge

from core.distance import Lp
from core.kernels.pack_positives import pack_positives
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class Contrastive(TupleLoss):
    """Contrastive loss: pulls positive pairs below one margin, pushes negative ones above another.

    With d the Euclidean distance of unit vectors and q the power,

        1/q [d - m⁺]₊^q of each positive pair + 1/q [m⁻ - d]₊^q of each negative pair

    where positive and negative pairs are averaged separately, so that the many negatives do not
    outweigh the few positives (the paper sums and leaves the balance open). The paper has q = 2 and
    m⁺ = 0. A kind of pair that the batch lacks contributes 0.

    Differences:
        Roth et al.: distances not squared; `power=1`. They add 1e-6 to each difference, so that
            equal embeddings are pushed along (1, ..., 1); here they have no gradient.
        pytorch-metric-learning: `ContrastiveLoss` does not square either, and takes the mean of the
            losses above zero; `power=1, reducer=NonZeroMean()`.
        pytorch-online-metric-learning: squared distances, in one mean over all pairs;
            `power=1, distance=Lp(power=2), reducer=Pooled()`. It adds a constant, and a negative
            pair within the margin counts twice in its divisor.

    Args:
        miner: chooses the tuples; None takes all pairs.
        positive_margin: m⁺, in units of `distance`, >= 0.
        negative_margin: m⁻, in units of `distance`, > m⁺.
        power: q, 1 or more.
        distance: None is the Euclidean distance of unit vectors.
        reducer: of the terms `positives` and `negatives`; None is the mean of each.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        positive_margin: float = 0.0,
        negative_margin: float = 1.0,
        power: Annotated[float, Ge(1)] = 2,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Lp(), reducer)
        if power < 1:
            raise ValueError(f"power must be at least 1, got {power}")
        self.power = power
        self.positive_margin, self.negative_margin = positive_margin, negative_margin

    def formula(self, batch: TupleBatch) -> NamedTerms:
        distances, pairs = batch.distances(), batch.pairs()
        of_positives, valid = pack_positives(distances, pairs.positives)
        pull = (of_positives - self.positive_margin).relu() ** self.power / self.power
        push = (self.negative_margin - distances).relu() ** self.power / self.power
        return {
            "positives": loss_terms(pull, where=valid),
            "negatives": loss_terms(push, where=pairs.negatives),
        }
