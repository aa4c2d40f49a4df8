"""Tests against the best method, of many simulated tables together.

`paired`, `dunnett` and `moderated` are those of reporting/best.py; the others are what else was
considered. Each takes values (repetitions x methods x seeds) where higher is better, chooses the
best by its mean, and says which methods are told apart from it.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import chi2, studentized_range, t  # type: ignore[attr-defined]

from reporting.best import moderate
from reporting.statistics import LEVEL

Values = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]


def against_best(values: Values) -> Values:
    """How far each value is below that of the best method, seed by seed."""
    best = values.mean(axis=2).argmax(axis=1)
    return np.asarray(values[np.arange(len(values)), best][:, None] - values)


def holm(p_values: Values) -> Marks:
    """Rejected by Holm's correction; the best is compared with itself, which is no test."""
    order = p_values.argsort(axis=1)
    left = np.maximum(p_values.shape[1] - 1 - np.arange(p_values.shape[1]), 1)
    adjusted = np.maximum.accumulate(np.take_along_axis(p_values, order, 1) * left, axis=1)
    rejected = np.zeros(p_values.shape, bool)
    np.put_along_axis(rejected, order, adjusted < LEVEL, axis=1)
    return rejected


def paired(values: Values) -> Marks:
    below = against_best(values)
    error = np.maximum(below.std(axis=2, ddof=1), 1e-12) / np.sqrt(values.shape[2])
    return holm(2 * t.sf(np.abs(below.mean(axis=2) / error), values.shape[2] - 1))


def dunnett(values: Values) -> Marks:
    return pooled(values, values.var(axis=2, ddof=1), dunnett_quantile)


def dunnett_without_seeds(values: Values) -> Marks:
    """Dunnett's test in randomised blocks."""
    return pooled(values, block_variances(values), dunnett_quantile, blocks=True)


def dunnett_arcsine(values: Values) -> Marks:
    """Dunnett's test of arcsin √rate, which stabilises the variance of a proportion."""
    return dunnett(np.arcsin(np.sqrt(np.clip(values / 100, 0, 1))))


def tukey(values: Values) -> Marks:
    return pooled(values, values.var(axis=2, ddof=1), range_quantile)


def pooled(
    values: Values, variances: Values, quantile: Callable[..., Any], blocks: bool = False
) -> Marks:
    methods = values.shape[1]
    error = np.sqrt(2 * variances.mean(axis=1, keepdims=True) / values.shape[2])
    freedom = (methods - blocks) * (values.shape[2] - 1)
    return np.asarray(against_best(values).mean(axis=2) > quantile(methods, freedom) * error)


def block_variances(values: Values) -> Values:
    """Variance of each method without what all methods of a seed share."""
    methods = values.shape[1]
    rest = values - values.mean(axis=1, keepdims=True)
    return np.asarray(rest.var(axis=2, ddof=1) * methods / (methods - 1))


def games_howell(values: Values) -> Marks:
    variances = values.var(axis=2, ddof=1)
    return by_range(values, variances, np.full_like(variances, values.shape[2] - 1))


def moderated(values: Values, blocks: bool = False) -> Marks:
    variances = block_variances(values) if blocks else values.var(axis=2, ddof=1)
    freedom = np.full(values.shape[1], values.shape[2] - 1)
    shrunk, of_each = zip(*(moderate(own, freedom) for own in variances), strict=True)
    return by_range(values, np.array(shrunk), np.array(of_each))


def by_range(values: Values, variances: Values, freedom: Values) -> Marks:
    """The studentized range with the degrees of freedom of Welch and Satterthwaite."""
    repetitions, methods, _ = values.shape
    best = values.mean(axis=2).argmax(axis=1)
    parts = variances**2 / freedom
    both, both_parts = (
        own + own[np.arange(repetitions), best][:, None] for own in (variances, parts)
    )
    of_difference = np.minimum(both**2 / both_parts, methods * (values.shape[2] - 1))
    limit = range_quantile(methods, of_difference) * np.sqrt(both / values.shape[2])
    return np.asarray(against_best(values).mean(axis=2) > limit)


TESTS: dict[str, Callable[[Values], Marks]] = {
    "paired": paired,
    "dunnett": dunnett,
    "dunnett_without_seeds": dunnett_without_seeds,
    "dunnett_arcsine": dunnett_arcsine,
    "tukey": tukey,
    "games_howell": games_howell,
    "moderated": moderated,
    "moderated_without_seeds": partial(moderated, blocks=True),
}


# Critical values of |difference| over its standard error


@cache
def dunnett_quantile(methods: int, freedom: int) -> float:
    """Two-sided, of equal groups: Gauss quadrature over the control and the pooled deviation."""
    x, x_weights = np.polynomial.hermite_e.hermegauss(100)
    u, u_weights = np.polynomial.legendre.leggauss(64)
    scale = np.sqrt(chi2.ppf((u + 1) / 2, freedom) / freedom)[:, None]

    def excess(limit: float) -> float:
        ends = np.sqrt(2) * limit * scale
        inside = (ndtr(x + ends) - ndtr(x - ends)) ** (methods - 1)
        return float(u_weights / 2 @ inside @ x_weights / x_weights.sum() - (1 - LEVEL))

    return float(brentq(excess, 0.5, 100))


@cache
def range_table(methods: int) -> tuple[Values, Values]:
    """1 / degrees of freedom, ascending, and the logarithm of the critical value."""
    freedom = np.array([1e4, 240, 120, 60, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4])
    found = studentized_range.ppf(1 - LEVEL, methods, freedom) / np.sqrt(2)
    return 1 / freedom, np.log(found)


def range_quantile(methods: int, freedom: Values | int) -> Values:
    """Interpolated between degrees of freedom from 4 on; exact to three digits."""
    return np.asarray(np.exp(np.interp(1 / np.asarray(freedom), *range_table(methods))))
