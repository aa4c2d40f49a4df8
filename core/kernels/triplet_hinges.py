"""Hinge losses over triplets: listed triplets, or all pairs of a positive and a negative."""

import torch
from torch import Tensor

from core.kernels.all_pairs_hinges import all_pairs_hinge_sum
from core.kernels.pack_positives import pack_positives
from core.reducer import LossTerms
from core.types import Distances, Pairs, Triplets, Tuples


def triplet_hinges(distances: Distances, tuples: Tuples, margin: float | Tensor) -> LossTerms:
    """Triplet hinges: sums [d(a, p) - d(a, n) + margin]₊ over the triplets of each anchor.

    Given pairs, each positive forms a triplet with each negative of the same anchor. Their sum is
    exact and takes O(N M) memory and O(N M log P) time, P the most positives of an anchor, or
    O(N M log M) where the host would wait for the device to know P.
    """
    if isinstance(tuples, Triplets):
        return _sum_listed(distances, tuples, margin)
    return _sum_all(distances, tuples, margin)


def _sum_listed(distances: Distances, triplets: Triplets, margin: float | Tensor) -> LossTerms:
    anchors, positives, negatives, valid = triplets
    losses = (distances[anchors, positives] - distances[anchors, negatives] + margin).relu()
    return sum_by_anchor(losses, valid, anchors, len(distances))


def sum_by_anchor(
    losses: Tensor, where: Tensor | None, anchors: Tensor, num_anchors: int
) -> LossTerms:
    """Sums the losses (T,) of T tuples by anchor: of all, or of those that `where` marks."""
    counts = torch.ones_like(losses)
    if where is not None:
        losses, counts = losses.where(where, 0), where.to(losses.dtype)
    each = torch.stack([losses, counts, (losses > 0).to(losses.dtype), losses.relu()], dim=1)
    totals = losses.new_zeros(num_anchors, 4).index_add(0, anchors, each)
    return LossTerms(*totals.unbind(dim=1))


def _sum_all(distances: Distances, pairs: Pairs, margin: float | Tensor) -> LossTerms:
    """Sums over all triplets: a positive at distance d meets the negatives below d + margin."""
    positive_distances, valid = pack_positives(distances, pairs.positives)
    thresholds = torch.where(valid, positive_distances, -torch.inf) + margin
    values = torch.where(pairs.negatives, distances, torch.inf)
    sums, active = all_pairs_hinge_sum(thresholds, values)
    counts = valid.sum(dim=1) * pairs.negatives.sum(dim=1)
    return LossTerms(sums.sum(dim=1), counts, active.sum(dim=1))
