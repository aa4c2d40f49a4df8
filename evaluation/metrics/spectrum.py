"""The singular value spectrum of an embedding matrix."""

import torch
from jaxtyping import Float
from torch import Tensor

from core.types import Embeddings

ROWS = 16384  # rows converted to float64 at a time
MEAN_ROUNDING = 100  # error of a computed mean in units of its float64 rounding, at most

Spectrum = Float[Tensor, " S"]  # float64, descending


def singular_values(embeddings: Embeddings, *, centered: bool = False) -> Spectrum:
    """Singular values: the min(N, D) singular values of the embeddings in float64, largest first.

    They are the square roots of the eigenvalues of the D x D Gram matrix, which is summed in
    float64. Their relative accuracy is half of float64's digits, on every device. Values below that
    are rounding errors and become 0.

    Args:
        centered: whether to subtract the mean of the embeddings first.
    """
    num, dim = embeddings.shape
    gram = embeddings.new_zeros(dim, dim, dtype=torch.float64)
    mean = embeddings.mean(dim=0, dtype=torch.float64) if centered else gram.new_zeros(dim)
    for rows in torch.split(embeddings, ROWS):
        vectors = rows.double() - mean
        gram += vectors.T @ vectors
    eigenvalues = torch.linalg.eigvalsh(gram).flip(0)[: min(num, dim)]
    eps = torch.finfo(torch.float64).eps
    rounding = dim * eps * eigenvalues[0] + num * (MEAN_ROUNDING * eps * mean.norm()) ** 2
    return torch.where(eigenvalues > rounding, eigenvalues, 0).sqrt()
