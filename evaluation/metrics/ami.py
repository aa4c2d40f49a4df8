"""Adjusted mutual information (AMI): Vinh et al., JMLR 2010."""

import torch
from torch import Tensor

from core.types import Labels, Scalar
from evaluation.clustering.clusters import Clusters
from evaluation.clustering.contingency import Contingency, contingency, same_partition
from evaluation.metrics.nmi import entropy, mutual_information


def ami(labels: Labels, clusters: Clusters) -> Scalar:
    """AMI: mutual information of classes and clusters, adjusted for chance.

        AMI = (I - E[I]) / ((H(classes) + H(clusters)) / 2 - E[I])

    E[I] is the exact mean over all random clusterings with the same sizes. Range: at most 1, about
    0 for random clusters of any number (NMI grows with the number), and slightly negative for worse
    than random clusters; higher is better. Equal partitions score 1.

    Elsewhere: the same as scikit-learn's `adjusted_mutual_info_score` with its default arithmetic
    mean, and as the AMI of pytorch-metric-learning (whose k-means has as many clusters as the
    queries have classes).

    >>> round(ami(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 2])).item(), 4)
    0.5714
    """
    table = contingency(labels, clusters)
    if same_partition(table):
        return torch.ones((), dtype=torch.float64, device=labels.device)
    expected = expected_information(table)
    maximum = (entropy(table.classes) + entropy(table.clusters)) / 2
    return (mutual_information(table) - expected) / (maximum - expected)


def expected_information(table: Contingency) -> Scalar:
    """Expected mutual information of two random partitions with the sizes of the table, in nats.

        E[I] = Σ_classes a Σ_clusters b Σ_n  n/N log(N n / (a b)) P(n),   P hypergeometric

    A term depends only on the sizes a and b, and there are fewer than √(2N) distinct sizes: each
    term is computed once for all classes and clusters of equal size.
    """
    total = table.classes.sum()
    sizes, counts = torch.unique(table.classes, return_counts=True)
    cluster_sizes, cluster_counts = torch.unique(table.clusters, return_counts=True)
    terms = [
        count * (cluster_counts * expected_terms(size, cluster_sizes, total)).sum()
        for size, count in zip(sizes, counts, strict=True)
    ]
    return torch.stack(terms).sum()


def expected_terms(size: Tensor, cluster_sizes: Tensor, total: Tensor) -> Tensor:
    """Expected mutual information (K,) of a class of `size` with clusters of `cluster_sizes`."""
    n = torch.arange(
        1, int(torch.minimum(size, cluster_sizes).max()) + 1, device=cluster_sizes.device
    )
    cluster_size = cluster_sizes[:, None]
    log_probability = (
        log_binomial(cluster_size, n)
        + log_binomial(total - cluster_size, size - n)
        - log_binomial(total, size)
    )
    information = n.double() / total * (n.double() * total / (size * cluster_size)).log()
    return (information * log_probability.exp()).sum(dim=1)


def log_binomial(n: Tensor, k: Tensor) -> Tensor:
    """Logarithm of the binomial coefficient n over k, float64; -∞ if k is not in 0..n."""
    n, k = n.double(), k.double()
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
