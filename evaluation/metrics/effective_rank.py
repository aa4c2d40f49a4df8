"""Effective rank of the embedding space: Roy and Vetterli, EUSIPCO 2007."""

import torch

from core.types import Scalar
from evaluation.metrics.spectrum import Spectrum
from evaluation.metrics.undefined import UndefinedError


def effective_rank(spectrum: Spectrum) -> Scalar:
    """Effective rank: exponential of the entropy of the normalised singular values.

        erank = exp(-Σ p_i log p_i),   p = singular values / their sum

    The embeddings are not centred. Range [1, min(N, D)]: 1 if all embeddings lie on one line
    through the origin, D if all singular values are equal. No better direction, although a small
    value indicates collapse.

    Elsewhere: RankMe (Garrido et al., ICML 2023, https://arxiv.org/abs/2210.02885) adds 1e-7 to
    each p. Other definitions use the eigenvalues of the covariance matrix.

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
