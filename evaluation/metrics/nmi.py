"""Normalised mutual information (NMI) of classes and clusters."""

import torch
from jaxtyping import Int
from torch import Tensor

from core.types import Labels, Scalar
from evaluation.clustering.clusters import Clusters
from evaluation.clustering.contingency import Contingency, contingency


def nmi(labels: Labels, clusters: Clusters) -> Scalar:
    """NMI: mutual information of classes and clusters over the mean of their entropies.

        NMI = 2 I(classes; clusters) / (H(classes) + H(clusters))

    Range [0, 1], higher is better, 1 for equal partitions. A single class in a single cluster
    scores 1, by the convention of scikit-learn. NMI grows with the number of clusters even for
    random clusters: compare values at the same number of clusters only, or use `ami`.

    Elsewhere: the same as scikit-learn's `normalized_mutual_info_score` with its default arithmetic
    mean; older papers divide by the geometric mean. The code of Roth et al. uses as many clusters
    as there are training classes for every evaluated set
    (`evaluation.measure.num_clusters=${num_classes}` does the same). pytorch-metric-learning uses
    as many clusters as the queries have classes.

    >>> nmi(torch.tensor([0, 0, 1, 1]), torch.tensor([7, 7, 3, 3])).item()
    1.0
    """
    table = contingency(labels, clusters)
    entropies = entropy(table.classes) + entropy(table.clusters)
    if len(table.classes) == len(table.clusters) == 1:
        return torch.ones_like(entropies)
    return (2 * mutual_information(table) / entropies).clamp(0, 1)


def mutual_information(table: Contingency) -> Scalar:
    """Mutual information I = Σ p(a, b) log(p(a, b) / (p(a) p(b))), in nats, float64."""
    total = table.classes.sum()
    joint = table.joint.double()
    independent = table.classes[table.class_of].double() * table.clusters[table.cluster_of] / total
    return (joint / total * (joint / independent).log()).sum()


def entropy(counts: Int[Tensor, " C"]) -> Scalar:
    """Entropy -Σ p log p of p = counts / Σ counts, in nats, float64."""
    shares = counts.double() / counts.sum()
    return -(shares * shares.log()).sum()
