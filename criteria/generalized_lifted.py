"""Generalised lifted structure loss: Hermans et al., 2017, https://arxiv.org/abs/1703.07737."""

from torch import nn

from core.distance import Lp
from core.kernels.logsumexp import log_sum_exp
from core.kernels.pack_positives import pack_positives
from core.reducer import Mean, Reducer, loss_terms
from core.regularizer import Regularizer
from core.tuples import select_tuples, to_pairs
from core.types import (
    Distance,
    Embeddings,
    Labels,
    Miner,
    ReferenceLabels,
    References,
    Scalar,
    Tuples,
)


class GeneralizedLifted(nn.Module):
    """The farthest positive must be closer than the nearest negative, both taken softly.

    With d the Euclidean distance of the embeddings as they are, and P_a, N_a the positives and
    negatives of anchor a,

        [log Σ_{p ∈ P_a} exp(d_ap) + log Σ_{n ∈ N_a} exp(margin - d_an)]₊

    averaged over the anchors that have both, plus the penalty of `regularizer`. Other anchors
    contribute nothing.

    Differences:
        Roth et al.: adds the mean length of the embeddings; `regularizer=LpNorm(0.005)`. On today's
            torch their distances are norms over the wrong axis.
        pytorch-metric-learning: the distance of unit vectors; averages over all anchors, and an
            empty P_a or N_a adds 0; for batches without such anchors `distance=Lp()`.

    Args:
        miner: chooses the tuples; None takes all pairs.
        margin: in units of `distance`.
        distance: None is the Euclidean distance of the embeddings as they are.
        reducer: of the term `anchors`; None is the mean.
        regularizer: of the embeddings; None adds nothing, as the paper.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        margin: float = 1.0,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
        regularizer: Regularizer | None = None,
    ) -> None:
        super().__init__()
        self.miner, self.margin = miner, margin
        self.distance = distance or Lp(normalize=False)
        self.reducer = reducer or Mean()
        self.regularizer = regularizer

    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        tuples: Tuples | None = None,
        *,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Scalar:
        chosen = select_tuples(self.miner, embeddings, labels, tuples, references, reference_labels)
        distances = self.distance(embeddings, references)
        positives, negatives = to_pairs(chosen, *distances.shape)
        farthest = log_sum_exp(*pack_positives(distances, positives))
        nearest = log_sum_exp(self.margin - distances, where=negatives)
        both = positives.any(dim=1) & negatives.any(dim=1)
        hinges = (farthest + nearest).squeeze(1).relu()
        loss = self.reducer(labels, anchors=loss_terms(hinges, where=both))
        return loss if self.regularizer is None else loss + self.regularizer(embeddings)
