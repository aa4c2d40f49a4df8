"""ROC and DET figures: the error rates of same or different decisions at every threshold."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from scipy.special import ndtri

from evaluation.figures.style import BLUE, GREY, ONE_COLUMN, SMALL, VERMILLION, styled

Curve = Float[np.ndarray, " T"]
Band = tuple[Curve, tuple[Curve, Curve]]  # FMR (F,), and the ends of the interval of TMR there

PROBIT_TICKS = np.array([1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8])
LOWEST_FMR = 1e-6  # drawn by a ROC curve
LARGEST_FMR, LARGEST_FNMR = 0.5, 0.95  # drawn by a DET curve
PROBIT_MARGIN = 0.1
RATE_OF_NONE = 1e-3  # drawn for a rate of 0, if no other rate is smaller


def roc_figure(
    fmr: Curve,
    tmr: Curve,
    points: Sequence[tuple[float, float, float]],
    band: Band | None = None,
) -> Figure:
    """ROC curve: true match rate over false match rate, on a logarithmic axis.

    Args:
        fmr, tmr: rates at ascending thresholds.
        points: (threshold, FMR, TMR) that are marked.
        band: false match rates, and the interval of the true match rate there; None draws none.
    """
    drawn = fmr >= LOWEST_FMR
    least = lowest(fmr[drawn])
    with styled():
        figure = Figure(figsize=(ONE_COLUMN, 2.9), layout="constrained")
        axes = figure.add_subplot(
            xscale="log",
            xlabel="false match rate (FMR)",
            ylabel="true match rate (TMR)",
            xlim=(least / 1.5, 1.3),
            ylim=(-0.02, 1.05),
        )
        decades = 10.0 ** np.arange(np.floor(np.log10(least)), 1)
        label_rates(axes.xaxis, decades, decades)
        if band is not None:
            draw_band(axes, band[0], *band[1])
        axes.plot(fmr[drawn], tmr[drawn], color=BLUE, label="embeddings")
        chance = np.geomspace(least, 1, 200)
        axes.plot(chance, chance, color=GREY, linestyle="--", label="chance")
        for threshold, x, y in points:
            axes.plot(x, y, "o", color=VERMILLION)
            axes.annotate(
                f"{threshold:.3f}",
                (x, y),
                xytext=(-4, 3),
                textcoords="offset points",
                ha="right",
                fontsize=SMALL,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
            )
        axes.set_title("ROC curve, with similarity thresholds")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def det_figure(fmr: Curve, tmr: Curve, eer: float, band: Band | None = None) -> Figure:
    """DET curve: false non-match rate over false match rate, both on probit axes.

    Similarities of two normal distributions give a straight line: Martin et al., Eurospeech 1997.

    Args:
        fmr, tmr: rates at ascending thresholds.
        eer: equal error rate, which is marked.
        band: false match rates, and the interval of the true match rate there; None draws none.
    """
    fnmr = 1 - tmr
    smallest = min(lowest(fmr), lowest(fnmr), RATE_OF_NONE)
    with styled():
        figure = Figure(figsize=(ONE_COLUMN, 3.2), layout="constrained")
        axes = figure.add_subplot(
            xlabel="false match rate (FMR)", ylabel="false non-match rate (1 - TMR)"
        )
        if band is not None:
            rates, (low, high) = band
            draw_band(axes, *(probit(rate, smallest) for rate in (rates, 1 - high, 1 - low)))
        x, y = probit(fmr, smallest), probit(fnmr, smallest)
        axes.plot(x, y, color=BLUE, label="embeddings")
        axes.plot(x, x, color=GREY, linestyle=":", label="equal rates")
        equal = probit(np.array([eer]), smallest)
        axes.plot(equal, equal, "o", color=VERMILLION, label=f"EER {eer:.2%}")
        drawn = (fmr <= LARGEST_FMR) & (fnmr <= LARGEST_FNMR)
        for axis, rates, limit in (
            (axes.xaxis, fmr[drawn], axes.set_xlim),
            (axes.yaxis, fnmr[drawn], axes.set_ylim),
        ):
            ends = probit(np.array([*rates, eer]), smallest)
            limit(ends.min() - PROBIT_MARGIN, ends.max() + PROBIT_MARGIN)
            label_rates(axis, PROBIT_TICKS, ndtri(PROBIT_TICKS))
        axes.set_title("DET curve")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def draw_band(axes: Axes, rates: Curve, low: Curve, high: Curve) -> None:
    """Shade the interval over classes."""
    axes.fill_between(
        rates, low, high, color=BLUE, alpha=0.2, linewidth=0, label="95% interval over classes"
    )


def lowest(rates: Curve) -> float:
    """The lowest rate above 0; a curve ends there."""
    positive = rates[rates > 0]
    return float(positive.min()) if len(positive) else 1.0


def probit(rates: Curve, smallest: float) -> Curve:
    """Normal quantiles of rates; 0 and 1 are drawn at `smallest` and 1 - `smallest`."""
    quantiles: Curve = ndtri(np.clip(rates, smallest, 1 - smallest))
    return quantiles


def label_rates(axis: Axis, rates: Curve, places: Curve) -> None:
    """Label an axis with percentages at these places."""
    axis.set_major_locator(FixedLocator(list(places)))
    axis.set_major_formatter(FixedFormatter([f"{100 * rate:g}%" for rate in rates]))
    axis.set_minor_locator(NullLocator())
