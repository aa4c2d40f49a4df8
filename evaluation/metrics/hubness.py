"""Hubness: whether few items are the neighbours of many, Radovanović et al., JMLR 2010."""

import torch
from jaxtyping import Int
from torch import Tensor

from core.ranges import PositiveInt
from core.types import Scalar
from evaluation.metrics.undefined import UndefinedError
from evaluation.search.knn import NO_NEIGHBOR, Neighbors


def hubness(neighbors: Neighbors, gallery: Int[Tensor, " M"], k: PositiveInt) -> Scalar:
    """Skewness of how often each gallery item is among the `k` nearest neighbours of a query.

        hubness = E (n - μ)³ / σ³,   n = number of queries that have the item among their first k

    Range (-∞, ∞), no better direction by itself: 0 if some items occur as much too often as others
    too rarely, large if a few hubs are near to everything. Needs no labels.
    Source: https://jmlr.org/papers/v11/radovanovic10a.html (S_{N_k}, with k = 10).

    Args:
        k: number of neighbours looked at, >= 1.

    Raises:
        UndefinedError: every item occurs equally often.
    """
    found = neighbors.indices[neighbors.indices != NO_NEIGHBOR]
    most = int(gallery.max()) + 1 if len(gallery) else 0
    occurrences = torch.bincount(found, minlength=most)[gallery].double()
    deviations = occurrences - occurrences.mean()
    variance = deviations.square().mean()
    if len(gallery) == 0 or variance == 0:
        raise UndefinedError(f"every item is among the first {k} of equally many queries")
    return deviations.pow(3).mean() / variance.pow(1.5)
