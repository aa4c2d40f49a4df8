"""Lifted structure loss: Oh Song et al., CVPR 2016, https://arxiv.org/abs/1511.06452."""

import torch

from core.distance import Lp
from core.kernels.logsumexp import log_sum_exp
from core.kernels.pack_positives import pack_positive_indices
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class LiftedStructure(TupleLoss):
    """Lifted structure loss: a positive pair is closer than all negatives of both of its samples.

    With d the Euclidean distance of the embeddings as they are, each positive pair (i, j) has

        J_ij = d_ij - m⁺ + log(Σ_n exp(margin - d_in) + Σ_n exp(margin - d_nj)),  loss 1/2 [J_ij]₊²

    averaged over the positive pairs, where (i, n) and (n, j) run over the negative pairs: the row
    of i and the column of j, since the references have no rows of their own. A pair without any
    negatives counts as 0; without pairs the mean is 0. The paper has m⁺ = 0.

    Differences:
        pytorch-metric-learning: `LiftedStructureLoss` has the distance of unit vectors;
            `distance=Lp()`. Its `neg_margin` is `margin`, its `pos_margin` m⁺. Given tuples, the
            negatives of j are those of its row. Given references, it takes their indices for those
            of the batch, and its value is wrong.
        pytorch-online-metric-learning: each sample is one of its own positives; the miner
            `batch_easy_hard` with `positives=negatives="all", include_anchor=True`.

    Args:
        miner: chooses the tuples; None takes all pairs.
        margin: in units of `distance`.
        distance: None is the Euclidean distance of the embeddings as they are.
        reducer: of the term `pairs`; None is the mean.
        positive_margin: m⁺, in units of `distance`.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        margin: float = 1.0,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
        positive_margin: float = 0.0,
    ) -> None:
        super().__init__(miner, distance or Lp(normalize=False), reducer)
        self.margin, self.positive_margin = margin, positive_margin

    def formula(self, batch: TupleBatch) -> NamedTerms:
        distances = batch.distances()
        positives, negatives = batch.pairs()
        closeness = self.margin - distances
        of_i = log_sum_exp(closeness, where=negatives, dim=1)
        of_j = log_sum_exp(closeness, where=negatives, dim=0).expand_as(distances)
        columns, valid = pack_positive_indices(positives)
        of_j, pull = of_j.gather(1, columns), distances.gather(1, columns) - self.positive_margin
        neither = of_i.isneginf() & of_j.isneginf()
        push = torch.logaddexp(of_i.masked_fill(neither, 0), of_j)
        losses = (pull + push).masked_fill(neither, 0).relu().square() / 2
        return {"pairs": loss_terms(losses, where=valid)}
