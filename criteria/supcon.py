"""Supervised contrastive loss: Khosla et al., NeurIPS 2020, https://arxiv.org/abs/2004.11362."""

from core.distance import Cosine
from core.kernels.logsumexp import log_sum_exp
from core.kernels.pack_positives import pack_positives
from core.ranges import PositiveFloat
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class SupCon(TupleLoss):
    """Supervised contrastive loss: a softmax of each positive against all other samples.

    With s_ij the cosine similarity, T the temperature and P_i, N_i the positives and negatives of
    anchor i, the probability of j is p_ij = exp(s_ij / T) / Σ_{k ∈ P_i ∪ N_i} exp(s_ik / T), and

        L_i = -1/|P_i| Σ_{j ∈ P_i} log p_ij        the paper's L_out, the better one there
        L_i = -log(1/|P_i| Σ_{j ∈ P_i} p_ij)       its L_in, with `outside=False`

    averaged over the anchors with positives; the others do not count. An anchor without negatives
    still has a loss, which is least for equal probabilities of its positives.

    Differences:
        Khosla et al.: their code starts at T = 0.07, and gives NaN if an anchor has no positives.
        pytorch-metric-learning: `SupConLoss` takes the mean of the L_i above zero,
            `reducer=NonZeroMean()`; it is 0 in a batch without negatives.

    Args:
        miner: chooses P and N; None takes all pairs.
        temperature: T > 0, divides the similarities.
        outside: whether the mean over the positives is taken outside the logarithm.
        distance: gives the similarity; None is the cosine.
        reducer: of the term `anchors`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        temperature: PositiveFloat = 0.1,
        outside: bool = True,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Cosine(), reducer)
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature, self.outside = temperature, outside

    def formula(self, batch: TupleBatch) -> NamedTerms:
        logits = batch.similarities() / self.temperature
        positives, negatives = batch.pairs()
        of_positives, valid = pack_positives(logits, positives)
        counts = valid.sum(dim=1).clamp(min=1).to(logits.dtype)
        if self.outside:
            pull = of_positives.where(valid, 0).sum(dim=1) / counts
        else:
            pull = log_sum_exp(of_positives, where=valid).squeeze(1) - counts.log()
        losses = log_sum_exp(logits, where=positives | negatives).squeeze(1) - pull
        return {"anchors": loss_terms(losses, where=valid.any(dim=1))}
