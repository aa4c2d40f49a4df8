"""NT-Xent: Chen et al., SimCLR, ICML 2020, https://arxiv.org/abs/2002.05709.

Also known as InfoNCE: van den Oord et al., 2018, https://arxiv.org/abs/1807.03748.
"""

from core.distance import Cosine
from core.kernels.logsumexp import pair_cross_entropy
from core.ranges import PositiveFloat
from core.reducer import Reducer
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class NTXent(TupleLoss):
    """NT-Xent loss, InfoNCE: a softmax of each positive pair against the negatives of its anchor.

    With s_ij the cosine similarity, each positive pair (a, p) has the loss

        -log(exp(s_ap / T) / (exp(s_ap / T) + Σ_n exp(s_an / T))),  n over the negatives of a

    averaged over the positive pairs. A pair without negatives is 0 and counts; without pairs the
    mean is 0. In the paper each sample has one positive, another view of the same image; with more
    of them, each is compared with the negatives alone. It takes O(N M) memory.

    Differences:
        pytorch-metric-learning: `NTXentLoss`, where no pair's loss exceeds 87.3 in float32, and the
            gradient vanishes near it.

    Args:
        miner: chooses the tuples; None takes all pairs.
        temperature: T > 0; the similarities are divided by it. The paper has 0.1 on ImageNet and
            0.5 on CIFAR-10.
        distance: gives the similarity; None is the cosine.
        reducer: of the term `pairs`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        temperature: PositiveFloat = 0.1,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Cosine(), reducer)
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature = temperature

    def formula(self, batch: TupleBatch) -> NamedTerms:
        logits = batch.similarities() / self.temperature
        pairs = batch.pairs()
        return {"pairs": pair_cross_entropy(logits, pairs)}
