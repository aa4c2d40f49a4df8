"""Spectral decay ρ of the embedding space: Roth et al., ICML 2020."""

import math

import torch

from core.types import Scalar
from evaluation.metrics.spectrum import Spectrum
from evaluation.metrics.undefined import UndefinedError


def rho_spectrum(spectrum: Spectrum, m: int) -> Scalar | Spectrum:
    """Spectral decay ρ: KL divergence between the singular values and a uniform spectrum.

        m > 0: KL(u || s) = -log S - 1/S Σ log s_i      m < 0: KL(s || u) = log S + Σ s_i log s_i
        m = 0: s, the complete normalised spectrum

    s are the S singular values without the largest |m| - 1, divided by their sum; u is uniform.
    In nats, range [0, ∞], no better direction; smaller values mean a flatter spectrum. The ρ(Φ) of
    https://arxiv.org/abs/2002.08473 is m = 2, because the first singular value of embeddings that
    are not centred represents their mean. A singular value of 0, an unused dimension, gives ∞ for
    m > 0.

    Elsewhere: on a CPU, the code of Roth et al. drops the smallest singular value and approximates
    the others; on a GPU it does not. The results differ by a fifth and more. Other definitions
    centre the embeddings first, as `rho_spectrum_centered` does.

    Args:
        m: the largest |m| - 1 values are excluded; the sign selects the direction of the
            divergence, and 0 returns the normalised spectrum.

    Raises:
        UndefinedError: no value is left without the largest |m| - 1, or only zeros are.
    """
    remaining = spectrum[max(abs(m) - 1, 0) :]
    total = remaining.sum()
    if len(remaining) == 0 or total == 0:
        raise UndefinedError(
            f"no singular value but zeros is left after the first {max(abs(m) - 1, 0)}"
        )
    shares = remaining / total
    if m > 0:
        return -shares.log().mean() - math.log(len(shares))
    if m < 0:
        return torch.xlogy(shares, shares).sum() + math.log(len(shares))
    return shares


def rho_spectrum_centered(centered_spectrum: Spectrum, m: int) -> Scalar | Spectrum:
    """Centred spectral decay: `rho_spectrum` of the embeddings minus their mean.

    Without the mean no singular value needs to be excluded, and m = 1 uses all of them. Range
    [0, ∞], no better direction. Not a published metric; the ρ of Roth et al. 2020 is not centred.

    Args:
        m: see `rho_spectrum`.

    Raises:
        UndefinedError: all embeddings are equal, or no value is left without the largest |m| - 1.
    """
    return rho_spectrum(centered_spectrum, m)
