"""Curves of pairs: thresholds, equal error rates and true match rates read off rates on a grid."""

import numpy as np
from jaxtyping import Float

from evaluation.verification.operating_points import OperatingPoint

Curve = Float[np.ndarray, " T"]


def equal_error_rate(point: OperatingPoint) -> float:
    """Equal error rate: where the line between two points of the ROC curve has FMR = 1 - TMR.

    The two points are those of the pairs above a threshold, and of these and the pairs equal to it.

    Args:
        point: at the smallest threshold whose FMR is at most 1 - TMR.
    """
    with_equal = [a + b for a, b in zip(point.above, point.equal, strict=True)]
    fmr, tmr = (found / num for found, num in zip(with_equal, point.total, strict=True))
    return crossing(point.fmr, 1 - point.tmr, fmr, 1 - tmr)


def crossing(fmr: float, fnmr: float, next_fmr: float, next_fnmr: float) -> float:
    """Where both rates are equal between two points, the first of which has FMR <= FNMR."""
    before, after = fnmr - fmr, next_fmr - next_fnmr
    share = before / (before + after) if before + after > 0 else 0.0
    return fmr + share * (next_fmr - fmr)


def threshold_at(fmr: float, rates: Curve, thresholds: Curve) -> float:
    """The threshold with this false match rate, between those of the grid.

    Thresholds are interpolated over the logarithm of the false match rate, which falls along the
    grid; below the last rate above 0 the threshold is the first that no negative pair exceeds.
    """
    beyond = int((rates > fmr).sum())  # thresholds that are too small
    if beyond in (0, len(rates)) or rates[beyond] <= 0:
        return float(thresholds[min(beyond, len(rates) - 1)])
    ends = slice(beyond - 1, beyond + 1)
    return float(np.interp(-np.log(fmr), -np.log(rates[ends]), thresholds[ends]))


def equal_error_on(fmr: Curve, tmr: Curve) -> float:
    """The equal error rate of rates on a grid of ascending thresholds."""
    first = int((fmr <= 1 - tmr).argmax())
    if first == 0:
        return float(max(fmr[0], 1 - tmr[0]))
    return crossing(fmr[first], 1 - tmr[first], fmr[first - 1], 1 - tmr[first - 1])
