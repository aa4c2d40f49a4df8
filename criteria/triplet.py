"""Triplet loss: Schroff et al., FaceNet, CVPR 2015, https://arxiv.org/abs/1503.03832."""

import torch
from torch import nn

from core.distance import Lp
from core.reducer import Mean, Reducer, Terms
from core.tuples import select_tuples
from core.types import (
    Distance,
    Distances,
    Embeddings,
    Labels,
    Miner,
    Pairs,
    ReferenceLabels,
    References,
    Scalar,
    Triplets,
    Tuples,
)


class TripletMargin(nn.Module):
    """A negative must be farther from its anchor than a positive is, by a margin.

    For each triplet (a, p, n), with d the squared Euclidean distance of unit vectors,

        [d(a, p) - d(a, n) + margin]₊

    averaged over all triplets, zeros counted (Roth et al. too; pytorch-metric-learning averages
    the non-zero ones over unsquared distances: `NonZeroMean`, `Lp()`). Given pairs, or no miner,
    every positive with every negative of the same anchor is a triplet; their sum is exact and
    costs one sort of the distances, O(N M log M) time and O(N M) memory. An anchor without
    positives or without negatives has no triplets and contributes nothing.

    Args:
        miner: chooses the tuples; None takes all triplets.
        margin: in units of `distance`, >= 0.
        distance: None is the squared Euclidean distance of unit vectors.
        reducer: of the term `triplets`; None is the mean.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        margin: float = 0.2,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__()
        if margin < 0:
            raise ValueError(f"margin must not be negative, got {margin}")
        self.miner, self.margin = miner, margin
        self.distance = distance or Lp(power=2)
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
        distances = self.distance(embeddings, references)
        if isinstance(chosen, Triplets):
            terms = listed_hinges(distances, chosen, self.margin)
        else:
            terms = crossed_hinges(distances, chosen, self.margin)
        return self.reducer(labels, triplets=terms)


def listed_hinges(distances: Distances, triplets: Triplets, margin: float) -> Terms:
    """[d(a, p) - d(a, n) + margin]₊ of each triplet, collected by anchor."""
    anchors, positives, negatives = triplets
    losses = (distances[anchors, positives] - distances[anchors, negatives] + margin).relu()
    totals = distances.new_zeros(len(distances), 3)
    each = torch.stack([losses, torch.ones_like(losses), losses.sign()], dim=1)
    return Terms(*totals.index_add(0, anchors, each).unbind(dim=1))


def crossed_hinges(distances: Distances, pairs: Pairs, margin: float) -> Terms:
    """The same over every positive with every negative of each anchor, none of them listed.

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
