"""Histogram loss: Ustinova & Lempitsky, NIPS 2016, https://arxiv.org/abs/1611.00822."""

from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor

from core.distance import Cosine, finite_similarity_range
from core.kernels.soft_histogram import soft_histogram
from core.tuple_batch import TupleBatch
from core.tuple_loss import TupleLoss
from core.types import Distance, Mask, Miner, Scalar, Similarities


class Histogram(TupleLoss):
    """Histogram loss: the probability that a negative pair is more similar than a positive pair.

    The cosine similarities of the positive and of the negative pairs each give a histogram, h⁺ and
    h⁻, of sum 1, over nodes from -1 to 1, or from the least to the greatest similarity of another
    `distance`; a similarity counts for its two nearest nodes, linearly.
    The loss is

        Σ_r h⁻_r Σ_{q <= r} h⁺_q

    a number in [0, 1], not a mean over tuples, so that no reducer applies. A batch without
    positive or without negative pairs has an empty histogram and the loss 0. It takes O(N M) time
    and memory, whatever the number of nodes.

    Differences:
        Roth et al.: compare rounded numbers to find the node, which loses half of the pairs unless
            the distance between nodes is a power of two, as 2/64 is; no option, same at 65 nodes.
        pytorch-metric-learning: `HistogramLoss`, where `n_bins` is the number of nodes less one;
            given tuples or a sample alone in its class, only the pairs that are part of a triplet
            count; `num_nodes`.

    Args:
        miner: chooses the tuples; None takes all pairs.
        num_nodes: of each histogram, at least 2. The paper finds it of little influence.
        distance: gives the similarity, which must be bounded; None is the cosine.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        num_nodes: Annotated[int, Ge(2), Le(2**24)] = 65,
        distance: Distance | None = None,
    ) -> None:
        super().__init__(miner, distance or Cosine())
        if num_nodes < 2:
            raise ValueError(f"num_nodes must be at least 2, got {num_nodes}")
        self.num_nodes = num_nodes
        self.least, self.greatest = finite_similarity_range(self.distance)

    def formula(self, batch: TupleBatch) -> Scalar:
        similarities, pairs = batch.similarities(), batch.pairs()
        of_positives = self._distribution(similarities, pairs.positives)
        of_negatives = self._distribution(similarities, pairs.negatives)
        return (of_negatives * of_positives.cumsum(dim=0)).sum()

    def _distribution(self, similarities: Similarities, where: Mask) -> Tensor:
        """h, (num_nodes,)."""
        shares = (similarities - self.least) / (self.greatest - self.least)
        positions = shares * (self.num_nodes - 1)
        histogram = soft_histogram(positions, where, self.num_nodes).sum(dim=0)
        return histogram / where.sum().clamp(min=1)
