"""Contingency table of classes and clusters, from which clustering metrics are computed."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from core.types import Labels
from evaluation.clustering.clusters import Clusters


class Contingency(NamedTuple):
    """Contingency table: samples per class, per cluster, and per non-empty pair of both."""

    joint: Int[Tensor, " P"]  # samples of class class_of[p] in cluster cluster_of[p], >= 1
    class_of: Int[Tensor, " P"]
    cluster_of: Int[Tensor, " P"]
    classes: Int[Tensor, " C"]  # samples of each class, >= 1
    clusters: Int[Tensor, " K"]  # samples of each cluster, >= 1


def contingency(labels: Labels, clusters: Clusters) -> Contingency:
    """Compute the sparse contingency table, of at most one entry per sample."""
    if len(labels) != len(clusters) or len(labels) == 0:
        raise ValueError(f"{len(labels)} labels and {len(clusters)} clusters make no table")
    class_id, classes = torch.unique(labels, return_inverse=True, return_counts=True)[1:]
    cluster_id, sizes = torch.unique(clusters, return_inverse=True, return_counts=True)[1:]
    pair, joint = torch.unique(class_id * len(sizes) + cluster_id, return_counts=True)
    return Contingency(joint, pair // len(sizes), pair % len(sizes), classes, sizes)


def same_partition(table: Contingency) -> bool:
    """Whether classes and clusters are the same partition of the samples."""
    return len(table.joint) == len(table.classes) == len(table.clusters)
