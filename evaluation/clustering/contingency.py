"""The contingency table of two partitions: what every clustering metric is computed from."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from core.types import Labels
from evaluation.clustering.clusters import Clusters


class Contingency(NamedTuple):
    """Sample counts: in both a class and a cluster, for the pairs that occur, and in either."""

    joint: Int[Tensor, " P"]  # samples of class class_of[p] in cluster cluster_of[p], >= 1
    class_of: Int[Tensor, " P"]
    cluster_of: Int[Tensor, " P"]
    classes: Int[Tensor, " C"]  # samples of each class that occurs
    clusters: Int[Tensor, " K"]  # samples of each cluster that occurs


def contingency(labels: Labels, clusters: Clusters) -> Contingency:
    """Count without a C x K table: at most one entry per sample exists."""
    if len(labels) != len(clusters) or len(labels) == 0:
        raise ValueError(f"{len(labels)} labels and {len(clusters)} clusters make no table")
    class_id, classes = torch.unique(labels, return_inverse=True, return_counts=True)[1:]
    cluster_id, sizes = torch.unique(clusters, return_inverse=True, return_counts=True)[1:]
    pair, joint = torch.unique(class_id * len(sizes) + cluster_id, return_counts=True)
    return Contingency(joint, pair // len(sizes), pair % len(sizes), classes, sizes)


def same_partition(table: Contingency) -> bool:
    """Whether classes and clusters are the same sets of samples."""
    return len(table.joint) == len(table.classes) == len(table.clusters)
