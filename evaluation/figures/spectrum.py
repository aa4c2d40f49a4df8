"""Spectrum figure: the singular values of the embeddings."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from evaluation.figures.style import BLUE, GREY, ONE_COLUMN, plain_numbers, styled


def spectrum_picture(singular_values: Float[np.ndarray, " S"]) -> Figure:
    """Spectrum figure: normalised singular values and the uniform spectrum for comparison.

    Args:
        singular_values: largest first, not all zero; zeros are counted in the title, not drawn.
    """
    shares = singular_values / singular_values.sum()
    used = shares[shares > 0]
    unused = len(shares) - len(used)
    flat = 1 / len(shares)
    with styled():
        figure = Figure(figsize=(ONE_COLUMN, 2.4), layout="constrained")
        axes = figure.add_subplot(yscale="log", xlabel="direction", ylabel="share of the sum")
        axes.plot(np.arange(1, len(used) + 1), used, ".-", color=BLUE, label="embeddings")
        axes.axhline(flat, color=GREY, linestyle="--", label="all directions alike")
        plain_numbers(axes.yaxis)
        note = f"\n{unused} of {len(shares)} are zero" if unused else ""
        axes.set_title(f"Singular values of the embeddings{note}")
        axes.legend(loc="upper right")
    return figure
