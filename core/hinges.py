"""Hinge losses over triplets, listed one by one or every positive crossed with every negative."""

import torch
from torch import Tensor

from core.reducer import Terms
from core.types import Distances, Pairs, Triplets, Tuples


def triplet_hinges(distances: Distances, tuples: Tuples, margin: float | Tensor) -> Terms:
    """[d(a, p) - d(a, n) + margin]₊ of each triplet, collected by anchor.

    Given pairs, every positive with every negative of the same anchor is a triplet; their sum is
    exact and costs one sort of the distances, O(N M log M) time and O(N M) memory.
    """
    if isinstance(tuples, Triplets):
        return _listed(distances, tuples, margin)
    return _crossed(distances, tuples, margin)


def _listed(distances: Distances, triplets: Triplets, margin: float | Tensor) -> Terms:
    anchors, positives, negatives = triplets
    losses = (distances[anchors, positives] - distances[anchors, negatives] + margin).relu()
    return collected(losses, torch.ones_like(losses), anchors, len(distances))


def collected(losses: Tensor, counts: Tensor, anchors: Tensor, num_anchors: int) -> Terms:
    """Losses of T tuples and how often each counts, (T,), as terms by anchor, (num_anchors,)."""
    each = torch.stack([losses, counts, losses.sign()], dim=1)
    totals = losses.new_zeros(num_anchors, 3).index_add(0, anchors, each)
    return Terms(*totals.unbind(dim=1))


def _crossed(distances: Distances, pairs: Pairs, margin: float | Tensor) -> Terms:
    """Over all triplets, none of them listed.

    Let k = d + margin for positives and k = d for negatives. A triplet has the hinge k_p - k_n if
    k_n < k_p and 0 otherwise, so in ascending order of k the total of an anchor is

        Σ_p k_p #{negatives before p} - Σ_n k_n #{positives after n}

    which is linear in k: the counts come from one sort and need no gradient.
    """
    keys = torch.where(pairs.positives, distances + margin, distances)
    with torch.no_grad():
        order = keys.argsort(dim=1)
        positives = pairs.positives.gather(1, order).to(keys.dtype)
        negatives = pairs.negatives.gather(1, order).to(keys.dtype)
        negatives_before = positives * negatives.cumsum(dim=1)
        positives_after = negatives * positives.flip(1).cumsum(dim=1).flip(1)
        balance = negatives_before - positives_after
        weights = torch.empty_like(keys).scatter_(1, order, balance)
        counts = positives.sum(dim=1) * negatives.sum(dim=1)
    return Terms((weights * keys).sum(dim=1), counts, negatives_before.sum(dim=1))
