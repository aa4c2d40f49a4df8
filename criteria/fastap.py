"""FastAP: Cakir et al., Deep Metric Learning to Rank, CVPR 2019.

https://openaccess.thecvf.com/content_CVPR_2019/html/Cakir_Deep_Metric_Learning_to_Rank_CVPR_2019_paper.html
"""

from core.distance import Lp, finite_similarity_range
from core.kernels.soft_histogram import soft_histogram
from core.ranges import Size
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Miner


class FastAP(TupleLoss):
    """FastAP loss: one minus the average precision of each anchor, from softly binned distances.

    The squared Euclidean distances of unit vectors are counted in a histogram of `num_bins` + 1
    evenly spaced nodes from 0 to 4, the greatest distance; each counts for its two nearest nodes,
    linearly. With h⁺_j positives and h_j positives or negatives of an anchor at node j, H⁺_j and
    H_j those up to it, and N⁺ the number of its positives,

        1 - 1/N⁺ Σ_j h⁺_j H⁺_j / H_j

    averaged over the anchors that have positives; others contribute nothing. An anchor without
    negatives has the loss 0 and counts. It takes O(N M) memory, whatever the number of bins.

    Differences:
        pytorch-metric-learning: `FastAPLoss` is the same without tuples. Given tuples, it ranks all
            pairs and weighs each anchor by how often the tuples name it; here they are its list.

    Args:
        miner: chooses the list of each anchor; None takes all others.
        num_bins: at least 1; 10 in the authors' code and in pytorch-metric-learning.
        reducer: of the term `anchors`; None is the mean.
        distance: a bounded one, as the histogram goes up to its greatest value; None is the squared
            Euclidean distance of unit vectors.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        num_bins: Size = 10,
        reducer: Reducer | None = None,
        distance: Distance | None = None,
    ) -> None:
        super().__init__(miner, distance or Lp(power=2), reducer)
        least, greatest = finite_similarity_range(self.distance)
        self.greatest_distance = greatest - least
        if num_bins < 1:
            raise ValueError(f"num_bins must be at least 1, got {num_bins}")
        self.num_bins = num_bins

    def formula(self, batch: TupleBatch) -> NamedTerms:
        distances = batch.distances()
        positives, negatives = batch.pairs()
        positions = distances / self.greatest_distance * self.num_bins
        hits = soft_histogram(positions, positives, self.num_bins + 1)
        seen = (hits + soft_histogram(positions, negatives, self.num_bins + 1)).cumsum(dim=1)
        precision = hits.cumsum(dim=1) / seen.where(seen > 0, 1)
        num_positives = positives.sum(dim=1)
        losses = 1 - (hits * precision).sum(dim=1) / num_positives.clamp(min=1)
        return {"anchors": loss_terms(losses, where=num_positives > 0)}
