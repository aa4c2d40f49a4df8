"""Statistics of runs over several datasets, of few seeds each (Agarwal et al., NeurIPS 2021).

Deep Reinforcement Learning at the Edge of the Statistical Precipice,
https://arxiv.org/abs/2108.13264. The authors' package `rliable` needs `arch` and `seaborn`; its
three statistics are one line of scipy each, and the intervals are scipy.stats.bootstrap.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap, trim_mean

from reporting.statistics import CONFIDENCE

RESAMPLES = 2000
Array = npt.NDArray[np.float64]
Scores = Sequence[Array]  # of one method: the values of its seeds, for each dataset


class Estimate(NamedTuple):
    """Estimate with the ends of its interval; these are NaN where a dataset has one seed."""

    value: float
    low: float
    high: float


def interquartile_mean(scores: Scores) -> Estimate:
    """Mean of the middle half of all runs: less noise than the median, no outliers as in the mean.

    The runs of all datasets are taken together. A dataset of more seeds weighs more.
    """
    return estimate(scores, lambda *drawn: trim_mean(np.concatenate(drawn, axis=-1), 0.25, axis=-1))


def probability_of_improvement(first: Scores, second: Scores, higher_is_better: bool) -> Estimate:
    """Probability that a run of the first method is better than one of the second, over datasets.

        1 / N Σ_d mean_{i, j} ([x_di > y_dj] + [x_di = y_dj] / 2)

    0.5 means that neither is better. Runs are compared without regard to their seeds.
    """
    sign = 1 if higher_is_better else -1

    def share(*drawn: Array) -> Array:
        ours, theirs = drawn[: len(first)], drawn[len(first) :]
        parts = [
            (np.sign(sign * (x[..., :, None] - y[..., None, :])).mean(axis=(-1, -2)) + 1) / 2
            for x, y in zip(ours, theirs, strict=True)
        ]
        return np.asarray(np.mean(parts, axis=0))

    return estimate([*first, *second], share)


def performance_profile(scores: Scores, thresholds: Array, higher_is_better: bool) -> Array:
    """Share of the runs of all datasets that are better than each threshold."""
    runs = np.concatenate(list(scores))[:, None]
    return np.asarray((runs > thresholds if higher_is_better else runs < thresholds).mean(axis=0))


def estimate(scores: Scores, statistic: Callable[..., Any]) -> Estimate:
    """Statistic with the percentile interval of a bootstrap that draws seeds within datasets."""
    value = float(statistic(*scores))
    if min(map(len, scores)) < 2:
        return Estimate(value, float("nan"), float("nan"))
    found = bootstrap(
        tuple(scores),
        lambda *drawn, axis=-1: statistic(*drawn),  # noqa: ARG005 - always the last axis
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(value, float(found.low), float(found.high))


def scores_by_method(
    columns: Mapping[tuple[str, str], Mapping[str, Mapping[int, float]]], metric: str
) -> dict[str, list[Array]]:
    """method -> the values of each dataset, of the methods that have every dataset.

    Raises:
        ValueError: there are not two datasets.
    """
    chosen = [own for (_, name), own in columns.items() if name == metric]
    if len(chosen) < 2:
        raise ValueError(f"statistics over datasets need two datasets, got {len(chosen)}")
    methods = [name for name in chosen[0] if all(name in own for own in chosen)]
    return {name: [np.array(list(own[name].values())) for own in chosen] for name in methods}
