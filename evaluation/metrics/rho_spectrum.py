"""Spectral decay ρ of the embedding space: Roth et al., ICML 2020."""

import math

import torch

from core.types import Scalar
from evaluation.metrics.spectrum import Spectrum
from evaluation.metrics.undefined import UndefinedError


def rho_spectrum(spectrum: Spectrum, m: int) -> Scalar | Spectrum:
    """Divergence between the singular values and a flat spectrum; smaller is flatter.

    s are the singular values without the first |m| - 1, divided by their sum; u is uniform.

        m > 0: KL(u || s) = -log S - 1/S Σ log s_i      m < 0: KL(s || u) = log S + Σ s_i log s_i
        m = 0: s itself, all of it

    In nats, range [0, ∞], no better direction. The ρ(Φ) of https://arxiv.org/abs/2002.08473 is
    m = 2: the first singular value of embeddings that are not centred is their mean. A singular
    value of 0, an unused dimension, makes it infinite for m > 0, which is its limit.

    Elsewhere: the code of Roth et al. drops the smallest value and approximates the others on a
    CPU, and does neither on a GPU; the two differ by a fifth and more. Others centre first, which
    is `rho_spectrum_centered`.

    Args:
        m: the first |m| - 1 values are left out; its sign is the direction of the divergence, and
            0 returns the spectrum itself.

    Raises:
        UndefinedError: nothing is left after the first |m| - 1 values, or only zeros.
    """
    left = spectrum[max(abs(m) - 1, 0) :]
    total = left.sum()
    if len(left) == 0 or total == 0:
        raise UndefinedError(
            f"no singular value but zeros is left after the first {max(abs(m) - 1, 0)}"
        )
    shares = left / total
    if m > 0:
        return -shares.log().mean() - math.log(len(shares))
    if m < 0:
        return torch.xlogy(shares, shares).sum() + math.log(len(shares))
    return shares


def rho_spectrum_centered(centered_spectrum: Spectrum, m: int) -> Scalar | Spectrum:
    """`rho_spectrum` of the embeddings minus their mean: how evenly they spread around it.

    With the mean gone no singular value is special, and m = 1 looks at all of them. Range [0, ∞],
    no better direction. Not a published number; the ρ of Roth et al. 2020 is not centred.

    Args:
        m: as in `rho_spectrum`.

    Raises:
        UndefinedError: all embeddings are the same, or nothing is left after the first |m| - 1.
    """
    return rho_spectrum(centered_spectrum, m)
