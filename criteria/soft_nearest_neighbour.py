"""Soft nearest neighbour loss: Frosst et al., ICML 2019, https://arxiv.org/abs/1902.01889."""

from torch import nn

from core.distance import Lp
from core.kernels.logsumexp import log_sum_exp
from core.ranges import PositiveFloat
from core.reducer import Mean, Reducer, loss_terms
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


class SoftNearestNeighbour(nn.Module):
    """A neighbour drawn by closeness should be of the anchor's class.

    With d the squared Euclidean distance of the embeddings as they are, T the temperature and
    P_i, N_i the positives and negatives of anchor i,

        L_i = -log(Σ_{j ∈ P_i} exp(-d_ij / T) / Σ_{k ∈ P_i ∪ N_i} exp(-d_ik / T))

    averaged over the anchors with positives; the others have no L_i. An anchor without negatives
    has the loss 0. One close positive is enough, whereas SupCon asks all of them to be close.

    Differences:
        Frosst et al.: their code adds 1e-5 inside the logarithm, counts anchors without positives
            by it, and may take one gradient step on 1/T at every call; T is fixed here.
        TensorFlow Similarity: unit vectors, as its embedding layer gives; `distance=Lp(power=2)`.

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
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.miner, self.temperature = miner, temperature
        self.distance = distance or Lp(power=2, normalize=False)
        self.reducer = reducer or Mean()

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
        logits = -self.distance(embeddings, references) / self.temperature
        positives, negatives = to_pairs(chosen, *logits.shape)
        everyone = log_sum_exp(logits, where=positives | negatives)
        losses = (everyone - log_sum_exp(logits, where=positives)).squeeze(1)
        return self.reducer(labels, anchors=loss_terms(losses, where=positives.any(dim=1)))
