"""Adjusted Rand index of a clustering."""

import torch

from core.types import Labels, Scalar
from evaluation.clustering.assignment import Clusters
from evaluation.clustering.contingency import contingency, same_partition
from evaluation.metrics.f1 import pairs


def ari(labels: Labels, clusters: Clusters) -> Scalar:
    """Pairs of samples put together rightly, between what chance gives (0) and all (1).

        ARI = (TP - E) / ((A + B) / 2 - E),   E = A B / (N (N - 1) / 2)

    TP are the pairs in one class and one cluster, A those in one class, B those in one cluster; E
    is the mean of TP over random clusterings with the same sizes. Range [-0.5, 1], higher is
    better, 0 for random clusters whatever their number. Equal partitions score 1, even those in
    which no two samples are together. Source: Hubert and Arabie, Journal of Classification 1985.

    Elsewhere: the same as scikit-learn's `adjusted_rand_score`.

    >>> round(ari(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 2])).item(), 4)
    0.5714
    """
    table = contingency(labels, clusters)
    if same_partition(table):
        return torch.ones((), dtype=torch.float64, device=labels.device)
    in_class, in_cluster = pairs(table.classes), pairs(table.clusters)
    expected = in_class * in_cluster / (len(labels) * (len(labels) - 1) / 2)
    return (pairs(table.joint) - expected) / ((in_class + in_cluster) / 2 - expected)
