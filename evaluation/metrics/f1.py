"""Pairwise F1 of a clustering."""

from jaxtyping import Int
from torch import Tensor

from core.types import Labels, Scalar
from evaluation.clustering.assignment import Clusters
from evaluation.clustering.contingency import contingency
from evaluation.metrics.undefined import UndefinedError


def f1(labels: Labels, clusters: Clusters) -> Scalar:
    """Harmonic mean of precision and recall over pairs of samples put into one cluster.

        F1 = 2 TP / (pairs in one cluster + pairs in one class),   TP = pairs in both

    Range [0, 1], higher is better. Source: Oh Song et al., CVPR 2017,
    https://arxiv.org/abs/1612.01213.

    Elsewhere: the code of Roth et al. computes the same, with precision and recall exchanged,
    which F1 does not notice.

    Raises:
        UndefinedError: no two samples share a class or a cluster.

    >>> import torch
    >>> f1(torch.tensor([0, 0, 1]), torch.tensor([0, 0, 0])).item()  # TP 1, one cluster of 3 pairs
    0.5
    """
    table = contingency(labels, clusters)
    together = pairs(table.clusters) + pairs(table.classes)
    if together == 0:
        raise UndefinedError("no two samples share a class or a cluster")
    return 2 * pairs(table.joint) / together


def pairs(counts: Int[Tensor, " C"]) -> Scalar:
    """Σ n (n - 1) / 2: unordered pairs inside groups of the given sizes, float64."""
    sizes = counts.double()
    return (sizes * (sizes - 1)).sum() / 2
