"""Neighbourhood components analysis: Goldberger et al., NIPS 2004.

https://papers.nips.cc/paper/2566-neighbourhood-components-analysis
"""

from torch import nn

from core.distance import Lp
from core.kernels.logsumexp import log_sum_exp
from core.kernels.pack_positives import pack_positives
from core.ranges import PositiveFloat
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class NCA(TupleLoss):
    """NCA loss: the probability that a neighbour, drawn by its distance, is of another class.

    With d the squared Euclidean distance of the embeddings as they are, anchor i picks j with
    probability p_ij = exp(-s d_ij) / Σ_k exp(-s d_ik), k over its positives and negatives, and
    one of its own class with probability p_i = Σ p_ij over its positives. The loss is

        -log p_i, the second objective of the paper, or 1 - p_i, its first one

    averaged over the anchors that have positives; others contribute nothing. An anchor without
    negatives has the loss 0 and counts.

    Differences:
        pytorch-metric-learning: `NCALoss` has the distance of unit vectors; `distance=Lp(power=2)`.
            It leaves out an anchor whose p_i underflows; given tuples, the softmax is over all
            pairs nevertheless. Without any positive pair it is NaN.

    Args:
        miner: chooses the neighbours of each anchor; None takes all others.
        scale: s > 0, per unit of `distance`; 1 in the paper, where the length of the embeddings,
            which is learned, has the same effect.
        log: whether the loss is -log p_i.
        distance: None is the squared Euclidean distance of the embeddings as they are.
        reducer: of the term `anchors`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        scale: PositiveFloat = 1.0,
        log: bool = True,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Lp(power=2, normalize=False), reducer)
        if scale <= 0:
            raise ValueError(f"scale must be positive, got {scale}")
        self.scale, self.log = scale, log

    def formula(self, batch: TupleBatch) -> NamedTerms:
        logits = -self.scale * batch.distances()
        positives, negatives = batch.pairs()
        own = log_sum_exp(*pack_positives(logits, positives))
        others = log_sum_exp(logits, where=negatives)
        has_positives = positives.any(dim=1)
        odds = (others - own).squeeze(1).masked_fill(~has_positives, 0)
        losses = nn.functional.softplus(odds) if self.log else odds.sigmoid()
        return {"anchors": loss_terms(losses, where=has_positives)}
