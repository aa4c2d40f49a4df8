"""Soft nearest neighbour loss: Frosst et al., ICML 2019, https://arxiv.org/abs/1902.01889."""

from core.distance import Lp
from core.kernels.logsumexp import log_sum_exp
from core.ranges import PositiveFloat
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class SoftNearestNeighbour(TupleLoss):
    """Soft nearest neighbour loss: a neighbour drawn by its distance is of the anchor's class.

    With d the squared Euclidean distance of the embeddings as they are, T the temperature and
    P_i, N_i the positives and negatives of anchor i,

        L_i = -log(Σ_{j ∈ P_i} exp(-d_ij / T) / Σ_{k ∈ P_i ∪ N_i} exp(-d_ik / T))

    averaged over the anchors with positives; the others do not count. An anchor without negatives
    has the loss 0. One close positive is enough, whereas SupCon needs all of them to be close.

    Differences:
        Frosst et al.: their code adds 1e-5 inside the logarithm, counts anchors without positives
            by it, and may take one gradient step on 1/T at every call; T is fixed here.
        TensorFlow Similarity: unit vectors, which its embedding layer returns;
            `distance=Lp(power=2)`.

    Args:
        miner: chooses P and N; None takes all pairs.
        temperature: T > 0, in units of `distance`.
        distance: None is the squared Euclidean distance, without normalisation.
        reducer: of the term `anchors`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        temperature: PositiveFloat = 1.0,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Lp(power=2, normalize=False), reducer)
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature = temperature

    def formula(self, batch: TupleBatch) -> NamedTerms:
        logits = -batch.distances() / self.temperature
        positives, negatives = batch.pairs()
        everyone = log_sum_exp(logits, where=positives | negatives)
        losses = (everyone - log_sum_exp(logits, where=positives)).squeeze(1)
        return {"anchors": loss_terms(losses, where=positives.any(dim=1))}
