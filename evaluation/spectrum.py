"""The singular value spectrum of an embedding matrix."""

import torch
from jaxtyping import Float
from torch import Tensor

from core.types import Embeddings

ROWS = 16384  # rows converted to float64 at a time

Spectrum = Float[Tensor, " S"]  # float64, descending


def singular_values(embeddings: Embeddings) -> Spectrum:
    """The min(N, D) singular values of the embeddings, not centred, in float64, largest first.

    They are the roots of the eigenvalues of the D x D Gram matrix, summed up in float64: exact,
    and the same on every device, to half of float64's digits. Smaller ones are rounding and 0.
    """
    num, dim = embeddings.shape
    gram = embeddings.new_zeros(dim, dim, dtype=torch.float64)
    for rows in torch.split(embeddings, ROWS):
        gram += rows.double().T @ rows.double()
    eigenvalues = torch.linalg.eigvalsh(gram).flip(0)[: min(num, dim)]
    rounding = dim * torch.finfo(torch.float64).eps * eigenvalues[0]
    return torch.where(eigenvalues > rounding, eigenvalues, 0).sqrt()
