"""Circle loss: Sun et al., CVPR 2020, https://arxiv.org/abs/2002.10857."""

from torch import nn

from core.distance import Cosine, DotProduct, described
from core.kernels.logsumexp import log_sum_exp
from core.kernels.pack_positives import pack_positives
from core.ranges import Fraction, PositiveFloat
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Miner


class Circle(TupleLoss):
    """Circle loss: weighs each similarity by its distance from its optimum.

    With s_ij the cosine similarity, P_i and N_i the positives and negatives of anchor i, m the
    margin and γ the scale,

        L_i = log(1 + Σ_{j ∈ P_i} exp(-γ [1 + m - s_ij]₊ (s_ij - 1 + m))
                    · Σ_{j ∈ N_i} exp( γ [s_ij + m]₊ (s_ij - m)))

    averaged over the anchors that have both; others contribute nothing. The weights []₊ have no
    gradient, as in the authors' code.

    Differences:
        pytorch-metric-learning: `CircleLoss` takes the mean of the losses above zero;
            `reducer=NonZeroMean()`.

    Args:
        miner: chooses P and N; None takes all pairs.
        margin: m, cosine similarity, in [0, 1]: positives should be above 1 - m, negatives below m.
        scale: γ > 0. The paper has m = 0.4, γ = 80 for retrieval, 0.25 and 256 for faces.
        reducer: of the term `anchors`; None is the mean.
        distance: gives the similarity, the cosine or the dot product, as the margins stand for a
            similarity that is 1 for equal embeddings; None is the cosine.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        margin: Fraction = 0.4,
        scale: PositiveFloat = 80.0,
        reducer: Reducer | None = None,
        distance: Cosine | DotProduct | None = None,
    ) -> None:
        super().__init__(miner, distance or Cosine(), reducer)
        if not isinstance(self.distance, Cosine | DotProduct):
            raise ValueError(
                "distance must be Cosine or DotProduct, whose similarity is 1 for equal unit "
                f"vectors, got {described(self.distance)}"
            )
        if not 0 <= margin <= 1:
            raise ValueError(f"margin must be between 0 and 1, got {margin}")
        if scale <= 0:
            raise ValueError(f"scale must be positive, got {scale}")
        self.margin, self.scale = margin, scale

    def formula(self, batch: TupleBatch) -> NamedTerms:
        similarities = batch.similarities()
        positives, negatives = batch.pairs()
        of_positives, valid = pack_positives(similarities, positives)
        pull = (1 + self.margin - of_positives).relu().detach() * (of_positives - 1 + self.margin)
        push = (similarities + self.margin).relu().detach() * (similarities - self.margin)
        too_far = log_sum_exp(-self.scale * pull, where=valid)
        too_close = log_sum_exp(self.scale * push, where=negatives)
        losses = nn.functional.softplus((too_far + too_close).squeeze(1))
        both = valid.any(dim=1) & negatives.any(dim=1)
        return {"anchors": loss_terms(losses, where=both)}
