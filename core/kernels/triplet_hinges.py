"""Hinge losses over triplets: listed triplets, or all pairs of a positive and a negative."""

import torch
from torch import Tensor

from core.kernels.all_pairs_hinges import all_pairs_hinge_sum
from core.kernels.pack_positives import pack_positives
from core.reducer import LossTerms
from core.types import Distances, Pairs, Triplets, Tuples


def triplet_hinges(distances: Distances, tuples: Tuples, margin: float | Tensor) -> LossTerms:
    """[d(a, p) - d(a, n) + margin]₊ of each triplet, collected by anchor.

    Given pairs, every positive with every negative of the same anchor is a triplet; their sum is
    exact and takes O(N M log P) time for at most P positives of an anchor (O(N M log M) where the
    host would wait for the device to know P), and O(N M) memory.
    """
    if isinstance(tuples, Triplets):
        return _listed(distances, tuples, margin)
    return _crossed(distances, tuples, margin)


def _listed(distances: Distances, triplets: Triplets, margin: float | Tensor) -> LossTerms:
    anchors, positives, negatives, valid = triplets
    losses = (distances[anchors, positives] - distances[anchors, negatives] + margin).relu()
    return sum_by_anchor(losses, valid, anchors, len(distances))


def sum_by_anchor(
    losses: Tensor, where: Tensor | None, anchors: Tensor, num_anchors: int
) -> LossTerms:
    """Losses (T,) of T tuples, all or those that `where` marks, summed by anchor."""
    counts = torch.ones_like(losses)
    if where is not None:
        losses, counts = losses.where(where, 0), where.to(losses.dtype)
    each = torch.stack([losses, counts, (losses > 0).to(losses.dtype), losses.relu()], dim=1)
    totals = losses.new_zeros(num_anchors, 4).index_add(0, anchors, each)
    return LossTerms(*totals.unbind(dim=1))


def _crossed(distances: Distances, pairs: Pairs, margin: float | Tensor) -> LossTerms:
    """All triplets: a positive at distance d has a hinge with each negative below d + margin."""
    of_positives, exist = pack_positives(distances, pairs.positives)
    keys = torch.where(exist, of_positives, -torch.inf) + margin
    sums, active = all_pairs_hinge_sum(keys, torch.where(pairs.negatives, distances, torch.inf))
    counts = exist.sum(dim=1) * pairs.negatives.sum(dim=1)
    return LossTerms(sums.sum(dim=1), counts, active.sum(dim=1))
