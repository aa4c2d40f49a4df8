"""Moments of embeddings: their mean and covariance in float64, in bounded memory."""

import torch
from jaxtyping import Float
from torch import Tensor

from core.types import Embeddings

ROWS = 16384  # rows converted to float64 at a time
MEAN_ROUNDING = 100  # error of a computed mean in units of its float64 rounding, at most


def mean_and_covariance(
    embeddings: Embeddings,
) -> tuple[Float[Tensor, " D"], Float[Tensor, "D D"]]:
    """Mean (D,) and covariance (D, D), both float64; the covariance divides by N - 1.

    A single embedding has a covariance of zero.
    """
    num, dim = embeddings.shape
    mean = embeddings.mean(dim=0, dtype=torch.float64)
    products = mean.new_zeros(dim, dim)
    for rows in torch.split(embeddings, ROWS):
        centered = rows.double() - mean
        products += centered.T @ centered
    return mean, products / max(num - 1, 1)


def deviations(mean: Float[Tensor, " D"], variances: Float[Tensor, " D"]) -> Float[Tensor, " D"]:
    """Standard deviations, and 1 where a dimension does not vary beyond rounding."""
    rounding = (MEAN_ROUNDING * torch.finfo(torch.float64).eps * mean).square()
    return torch.where(variances > rounding, variances, 1).sqrt()
