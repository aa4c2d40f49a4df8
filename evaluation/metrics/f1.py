"""Pairwise F1 score of a clustering: Oh Song et al., CVPR 2017."""

from jaxtyping import Int
from torch import Tensor

from core.types import Labels, Scalar
from evaluation.clustering.clusters import Clusters
from evaluation.clustering.contingency import contingency
from evaluation.metrics.undefined import UndefinedError


def f1(labels: Labels, clusters: Clusters) -> Scalar:
    """Pairwise F1: harmonic mean of precision and recall over pairs of samples in one cluster.

        F1 = 2 TP / (pairs in one cluster + pairs of one class),   TP = pairs in one of both

    Range [0, 1], higher is better. Source: Oh Song et al., CVPR 2017,
    https://arxiv.org/abs/1612.01213.

    Elsewhere: the same in the code of Roth et al., which exchanges precision and recall without an
    effect on F1.

    Raises:
        UndefinedError: no two samples share a class or a cluster.

    >>> import torch
    >>> f1(torch.tensor([0, 0, 1]), torch.tensor([0, 0, 0])).item()  # TP 1, one cluster of 3 pairs
    0.5
    """
    table = contingency(labels, clusters)
    total = num_pairs(table.clusters) + num_pairs(table.classes)
    if total == 0:
        raise UndefinedError("no two samples share a class or a cluster")
    return 2 * num_pairs(table.joint) / total


def num_pairs(counts: Int[Tensor, " C"]) -> Scalar:
    """Number of unordered pairs inside groups of the given sizes, Σ n (n - 1) / 2, float64."""
    sizes = counts.double()
    return (sizes * (sizes - 1)).sum() / 2
