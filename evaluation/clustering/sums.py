"""Sums of vectors by group: what class means and cluster centroids are made of."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.types import Embeddings, Labels

ROWS = 16384  # rows converted to float64 at a time


def sums_by_group(
    vectors: Embeddings, groups: Labels, num_groups: int
) -> tuple[Float[Tensor, "C D"], Int[Tensor, " C"]]:
    """Sum in float64 and number of the vectors of each group 0..num_groups-1.

    In float64 the order of the additions, free on a GPU, is far below what float32 can show.
    """
    sums = vectors.new_zeros(num_groups, vectors.shape[1], dtype=torch.float64)
    for rows, group in zip(torch.split(vectors, ROWS), torch.split(groups, ROWS), strict=True):
        sums.index_add_(0, group, rows.double())
    return sums, torch.bincount(groups, minlength=num_groups)
