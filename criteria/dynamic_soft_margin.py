"""Dynamic soft margin: Zhang and Rusinkiewicz, ICCV 2019.

https://openaccess.thecvf.com/content_ICCV_2019/papers/Zhang_Learning_Local_Descriptors_With_a_CDF-Based_Dynamic_Soft_Margin_ICCV_2019_paper.pdf
"""

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from core.distance import Lp, finite_similarity_range
from core.kernels.pack_positives import pack_positives
from core.kernels.triplet_hinges import sum_by_anchor
from core.ranges import PositiveFraction
from core.reducer import Reducer, loss_terms
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Distances, Mask, Miner, Pairs, Triplets


class DynamicSoftMargin(TupleLoss):
    """Dynamic soft margin loss: weighs a triplet by the share of recent triplets that are easier.

    With d the Euclidean distance of unit vectors and C the distribution of d(a, p) - d(a, n) over
    the recent batches, each triplet has the loss

        C(d(a, p) - d(a, n)) (d(a, p) - d(a, n))

    averaged over the triplets; it may be negative. C has no gradient. Each positive pair makes one
    triplet, with the negative closest to either of its two members, as in the paper; given triplets
    are taken as they are. A positive pair without negatives makes no triplet.

    C is a histogram, each difference shared linearly between the two bins around it; every batch
    in training that has triplets replaces a share `momentum` of it, the first all of it.

    Differences:
        Zhang and Rusinkiewicz: their code skips negatives closer than 0.008, taken to be wrong.
        pytorch-metric-learning: `DynamicSoftMarginLoss` takes all triplets, `bins=num_bins + 1`;
            differentiates its histogram, so that the second backward pass fails; cannot count a
            difference of 2.

    Args:
        miner: chooses the tuples; None takes all pairs.
        bins: of the histogram over -2..2, or over the range of the differences of another
            `distance`, at least 2.
        momentum: share of the newest batch in the histogram, in (0, 1].
        reducer: of the term `triplets`; None is the mean.
        distance: a bounded one, as the histogram covers its range; None is the Euclidean distance
            of unit vectors.
    """

    histogram: Tensor

    def __init__(
        self,
        miner: Miner | None = None,
        bins: Annotated[int, Ge(2), Le(2**24)] = 512,
        momentum: PositiveFraction = 0.01,
        reducer: Reducer | None = None,
        distance: Distance | None = None,
    ) -> None:
        super().__init__(miner, distance or Lp(), reducer)
        least, greatest = finite_similarity_range(self.distance)
        self.widest = greatest - least
        if bins < 2:
            raise ValueError(f"bins must be at least 2, got {bins}")
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum must be above 0 and at most 1, got {momentum}")
        self.momentum = momentum
        self.register_buffer("histogram", torch.zeros(bins))

    def formula(self, batch: TupleBatch) -> NamedTerms:
        distances = batch.distances()
        if isinstance(batch.tuples, Triplets):
            anchors, positives, negatives, valid = batch.tuples
            gaps = distances[anchors, positives] - distances[anchors, negatives]
            where = torch.ones_like(gaps, dtype=torch.bool) if valid is None else valid
            losses = self._weights(gaps, where) * gaps
            return {"triplets": sum_by_anchor(losses, valid, anchors, len(distances))}
        pairs = batch.pairs()
        hardest, found = hardest_negative(distances, pairs)
        gaps, where = pack_positives(distances - hardest, pairs.positives & found)
        losses = self._weights(gaps, where) * gaps
        return {"triplets": loss_terms(losses, where=where)}

    @torch.no_grad()
    def _weights(self, gaps: Tensor, where: Mask) -> Tensor:
        """C of each gap; in training the marked ones enter the histogram first."""
        last = len(self.histogram) - 1
        places = ((gaps + self.widest) / (2 * self.widest) * last).clamp(0, last)
        places = places.to(self.histogram.dtype)
        below = places.long()
        above, share = (below + 1).clamp(max=last), places - below
        newest = torch.zeros_like(self.histogram)
        newest = newest.index_add(0, below.flatten(), ((1 - share) * where).flatten())
        newest = newest.index_add(0, above.flatten(), (share * where).flatten())
        newest = newest / newest.sum().clamp(min=1)
        momentum = self.momentum if self.training else 0.0
        blended = torch.lerp(self.histogram, newest, momentum)
        blended = torch.where(self.histogram.sum() > 0, blended, newest)
        blended = torch.where(newest.sum() > 0, blended, self.histogram)
        if self.training:
            self.histogram.copy_(blended)
        shares = blended.cumsum(dim=0) / blended.sum().clamp(min=torch.finfo(blended.dtype).tiny)
        return shares[below].to(gaps.dtype)


def hardest_negative(distances: Distances, pairs: Pairs) -> tuple[Tensor, Mask]:
    """Distance of the negative closest to either member of each pair, and whether there is any."""
    to_negatives = distances.masked_fill(~pairs.negatives, torch.inf)
    closest = torch.minimum(to_negatives.amin(dim=1, keepdim=True), to_negatives.amin(dim=0))
    found = closest.isfinite()
    return closest.masked_fill(~found, 0), found
