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

PROBIT_TICKS = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8)
LARGEST_RATE = 0.95  # drawn on a probit axis
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
    drawn = fmr > 0
    with styled():
        figure = Figure(figsize=(ONE_COLUMN, 2.6), layout="constrained")
        axes = figure.add_subplot(
            xscale="log",
            xlabel="false match rate (FMR)",
            ylabel="true match rate (TMR)",
            xlim=(lowest(fmr) / 1.5, 1.3),
            ylim=(-0.02, 1.05),
        )
        if band is not None:
            draw_band(axes, band[0], *band[1])
        axes.plot(fmr[drawn], tmr[drawn], color=BLUE, label="embeddings")
        chance = np.geomspace(lowest(fmr), 1, 200)
        axes.plot(chance, chance, color=GREY, linestyle="--", label="chance")
        for threshold, x, y in points:
            axes.plot(x, y, "o", color=VERMILLION)
            axes.annotate(
                f"{threshold:.3f}",
                (x, y),
                xytext=(5, -10),
                textcoords="offset points",
                fontsize=SMALL,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
            )
        axes.set_title("ROC curve, with similarity thresholds")
        axes.legend(loc="best")
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
        figure = Figure(figsize=(ONE_COLUMN, 2.9), layout="constrained")
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
        axes.set_xlim(label_probit(axes.xaxis, fmr, smallest))
        axes.set_ylim(label_probit(axes.yaxis, fnmr, smallest))
        axes.set_title("DET curve")
        axes.legend(loc="upper right")
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


def label_probit(axis: Axis, rates: Curve, smallest: float) -> tuple[float, float]:
    """Label a probit axis with percentages; returns its limits, for the rates below 95 %."""
    below = rates[rates < LARGEST_RATE]
    ends = np.array([below.min(), below.max()]) if len(below) else np.array([0, LARGEST_RATE])
    low, high = probit(ends, smallest)
    ticks = [rate for rate in PROBIT_TICKS if low <= ndtri(rate) <= high]
    axis.set_major_locator(FixedLocator(list(ndtri(ticks))))
    axis.set_major_formatter(FixedFormatter([f"{100 * rate:g}%" for rate in ticks]))
    axis.set_minor_locator(NullLocator())
    return low - 0.15, high + 0.15
