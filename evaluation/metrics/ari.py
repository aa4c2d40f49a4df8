"""Adjusted Rand index (ARI): Hubert and Arabie, Journal of Classification 1985."""

import torch

from core.types import Labels, Scalar
from evaluation.clustering.clusters import Clusters
from evaluation.clustering.contingency import contingency, same_partition
from evaluation.metrics.f1 import num_pairs


def ari(labels: Labels, clusters: Clusters) -> Scalar:
    """ARI: agreement of classes and clusters on pairs of samples, adjusted for chance.

        ARI = (TP - E) / ((A + B) / 2 - E),   E = A B / (N (N - 1) / 2)

    A is the number of pairs of one class, B of one cluster, and TP of one class and one cluster. E
    is the mean of TP over random clusterings with the same sizes. Range [-0.5, 1], higher is
    better; the expected value for random clusters is 0 for every number of clusters. Equal
    partitions score 1, even if every sample is a cluster of its own.
    Source: Hubert and Arabie, Journal of Classification 1985.

    Elsewhere: the same as scikit-learn's `adjusted_rand_score`.

    >>> round(ari(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 2])).item(), 4)
    0.5714
    """
    table = contingency(labels, clusters)
    if same_partition(table):
        return torch.ones((), dtype=torch.float64, device=labels.device)
    in_class, in_cluster = num_pairs(table.classes), num_pairs(table.clusters)
    expected = in_class * in_cluster / (len(labels) * (len(labels) - 1) / 2)
    return (num_pairs(table.joint) - expected) / ((in_class + in_cluster) / 2 - expected)
