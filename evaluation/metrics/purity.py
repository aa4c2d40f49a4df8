"""Purity of a clustering: Manning et al., 2008, section 16.3."""

import torch

from core.types import Labels, Scalar
from evaluation.clustering.clusters import Clusters
from evaluation.clustering.contingency import contingency


def purity(labels: Labels, clusters: Clusters) -> Scalar:
    """Purity: share of the samples that belong to the most frequent class of their cluster.

        purity = 1/N Σ_clusters max_class (samples of the class in the cluster)

    Range [size of the largest class / N, 1], higher is better. Purity never decreases when a
    cluster is split and is 1 if every sample is a cluster of its own: compare values at the same
    number of clusters only.
    Source: Manning et al., Introduction to Information Retrieval, 2008, section 16.3.

    >>> purity(torch.tensor([0, 0, 1, 1, 1]), torch.tensor([5, 5, 5, 8, 8])).item()
    0.8
    """
    table = contingency(labels, clusters)
    largest = torch.zeros_like(table.clusters)
    largest = largest.scatter_reduce(0, table.cluster_of, table.joint, reduce="amax")
    return largest.sum().double() / len(labels)
