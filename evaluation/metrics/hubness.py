"""Hubness, skewness of the k-occurrence distribution: Radovanović et al., JMLR 2010."""

import torch
from jaxtyping import Int
from torch import Tensor

from core.ranges import PositiveInt
from core.types import Scalar
from evaluation.metrics.undefined import UndefinedError
from evaluation.search.neighbors import NO_NEIGHBOR, Neighbors


def hubness(neighbors: Neighbors, gallery: Int[Tensor, " M"], k: PositiveInt) -> Scalar:
    """Hubness: skewness of how often gallery items are among the `k` nearest of the queries.

        hubness = E (n - μ)³ / σ³,   n = number of queries with the item among their k nearest

    Range (-∞, ∞), no better direction by itself: 0 for a symmetric distribution, large if a few
    hubs are neighbours of many queries. Labels are not used.
    Source: https://jmlr.org/papers/v11/radovanovic10a.html (S_{N_k}, with k = 10).

    Args:
        k: number of neighbours, >= 1.

    Raises:
        UndefinedError: every item occurs equally often.
    """
    indices = neighbors.indices[neighbors.indices != NO_NEIGHBOR]
    num_bins = int(gallery.max()) + 1 if len(gallery) else 0
    occurrences = torch.bincount(indices, minlength=num_bins)[gallery].double()
    deviations = occurrences - occurrences.mean()
    variance = deviations.square().mean()
    if len(gallery) == 0 or variance == 0:
        raise UndefinedError(f"every item is among the first {k} of equally many queries")
    return deviations.pow(3).mean() / variance.pow(1.5)
