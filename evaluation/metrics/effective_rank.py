"""Effective rank of the embedding space: Roy and Vetterli, EUSIPCO 2007."""

import torch

from core.types import Scalar
from evaluation.metrics.spectrum import Spectrum
from evaluation.metrics.undefined import UndefinedError


def effective_rank(spectrum: Spectrum) -> Scalar:
    """Number of dimensions in use: the exponential of the entropy of the singular values.

        erank = exp(-Σ p_i log p_i),   p = singular values / their sum

    Of the embeddings as they are, not centred. Range [1, min(N, D)]: 1 if all embeddings lie on
    one line, D if all directions are used alike. No better direction, though collapse shows as a
    small number.

    Elsewhere: RankMe (Garrido et al., ICML 2023, https://arxiv.org/abs/2210.02885) is this plus
    1e-7 on each p. Others take the eigenvalues of the covariance: the squares, centred.

    Raises:
        UndefinedError: all embeddings are zero.

    >>> effective_rank(torch.tensor([2.0, 2.0, 0.0])).item()
    2.0
    """
    total = spectrum.sum()
    if total == 0:
        raise UndefinedError("all embeddings are zero")
    shares = spectrum.double() / total
    return (-torch.xlogy(shares, shares).sum()).exp()
