"""Sums of vectors by group, for class means and cluster centroids."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.types import Embeddings, Labels

ROWS = 16384  # rows converted to float64 at a time


def sums_by_group(
    vectors: Embeddings, groups: Labels, num_groups: int
) -> tuple[Float[Tensor, "C D"], Int[Tensor, " C"]]:
    """Sum (in float64) and number of the vectors of each group 0..num_groups-1.

    A GPU adds in any order; in float64 its effect is far below the precision of float32.
    """
    sums = vectors.new_zeros(num_groups, vectors.shape[1], dtype=torch.float64)
    for rows, group in zip(torch.split(vectors, ROWS), torch.split(groups, ROWS), strict=True):
        sums.index_add_(0, group, rows.double())
    return sums, torch.bincount(groups, minlength=num_groups)
