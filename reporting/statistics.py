"""Statistics over seeds and datasets: spread, intervals, paired tests, ranks."""

from collections.abc import Mapping, Sequence
from math import isnan, sqrt
from typing import NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, sem, studentized_range, t, ttest_1samp  # type: ignore[attr-defined]

CONFIDENCE = 0.95
LEVEL = 0.05

BySeed = Mapping[int, float]


class Difference(NamedTuple):
    """Mean difference of two methods over their common seeds, its t-interval, two-sided p-value."""

    mean: float
    low: float
    high: float
    p: float
    n: int


class Ranks(NamedTuple):
    """Mean rank of each method over the datasets, 1 is best.

    Args:
        mean: by method, best first.
        num_datasets: all of which every method has.
        p: of Friedman's test, that all methods rank alike; NaN for fewer than three methods, and
            where all of them are equal everywhere.
        critical: mean ranks that differ by less are not significantly different, by Nemenyi's test.
    """

    mean: "pd.Series[float]"
    num_datasets: int
    p: float
    critical: float

    @property
    def friedman(self) -> str:
        """The outcome of the test as text."""
        return "no Friedman test" if isnan(self.p) else f"Friedman p = {self.p:.2g}"


def spread(values: Sequence[float]) -> float:
    """Sample standard deviation, divisor n - 1; NaN for one value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def half_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Half the width of the t-interval of the mean: t_{n-1} s / √n; NaN for one value."""
    n = len(values)
    return float(t.ppf((1 + confidence) / 2, n - 1) * sem(values)) if n > 1 else float("nan")


def paired(first: BySeed, second: BySeed, confidence: float = CONFIDENCE) -> Difference:
    """Paired t-test over seeds of `first - second`: a one-sample test of the differences.

    The p-value is NaN for fewer than two common seeds. Where all differences are the same, it is 1
    if they are zero and 0 otherwise.
    """
    seeds = sorted(first.keys() & second.keys())
    differences = np.array([first[seed] - second[seed] for seed in seeds])
    mean = float(differences.mean()) if seeds else float("nan")
    if len(seeds) < 2:
        return Difference(mean, float("nan"), float("nan"), float("nan"), len(seeds))
    if np.ptp(differences) == 0:  # no t statistic
        return Difference(mean, mean, mean, float(mean == 0), len(seeds))
    with catch_warnings():  # of differences that are equal but for their rounding
        simplefilter("ignore", RuntimeWarning)
        test = ttest_1samp(differences, 0)
    low, high = test.confidence_interval(confidence)
    return Difference(mean, float(low), float(high), float(test.pvalue), len(seeds))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of one family of tests (Holm 1979); NaN is no test and stays NaN.

    scipy.stats has no Holm correction; statsmodels has, and would be a requirement for ten lines.
    """
    adjusted = [float("nan")] * len(p_values)
    tested = sorted((p, index) for index, p in enumerate(p_values) if p == p)
    largest = 0.0
    for rank, (p, index) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * p))
        adjusted[index] = largest
    return adjusted


def ranked(columns: Mapping[str, BySeed], higher_is_better: bool) -> list[str]:
    """Methods by their means, best first; equal ones in the order given."""
    sign = -1 if higher_is_better else 1
    return sorted(columns, key=lambda name: sign * float(np.mean(list(columns[name].values()))))


def ranks(means: pd.DataFrame, higher_is_better: bool, level: float = LEVEL) -> Ranks:
    """Mean ranks over datasets, Friedman's test and Nemenyi's difference (Demšar 2006).

        CD = q √(k (k + 1) / (6 N)),  q the studentized range over √2, for k methods, N datasets

    Args:
        means: dataset x method; methods that lack a dataset are left out. Ties share a rank.

    Raises:
        ValueError: there are not two datasets and two methods that have both.
    """
    whole = means.dropna(axis="columns")
    datasets, methods = whole.shape
    if datasets < 2 or methods < 2:
        raise ValueError(
            f"ranks need two datasets, and two methods that have every one; got {datasets} and "
            f"{methods}"
        )
    of_each = whole.rank(axis=1, ascending=not higher_is_better)
    q = float(studentized_range.ppf(1 - level, methods, np.inf)) / sqrt(2)
    critical = q * sqrt(methods * (methods + 1) / (6 * datasets))
    p = float("nan")
    if methods > 2:
        p = float(friedmanchisquare(*(of_each[name] for name in of_each)).pvalue)
    return Ranks(of_each.mean().sort_values(kind="stable"), datasets, p, critical)
