"""Statistics over datasets: rliable's numbers, and the definitions in plain Python."""

import math
from itertools import product
from statistics import fmean

import numpy as np
import pytest

from reporting import across_datasets
from reporting.across_datasets import Array
from reporting.figures.performance_profile import performance_profiles
from reporting.run import Run

# five seeds of four datasets
X = np.array(
    [
        [66.1, 52.3, 61.3, 58.3],
        [58.6, 59.4, 53.9, 59.3],
        [57.4, 70.0, 60.7, 58.9],
        [59.2, 58.0, 56.8, 58.8],
        [61.4, 59.3, 62.9, 59.4],
    ]
)
Y = np.array(
    [
        [59.1, 63.6, 60.6, 57.5],
        [58.5, 60.6, 64.8, 58.2],
        [58.3, 62.0, 56.3, 58.1],
        [61.6, 60.7, 59.3, 61.0],
        [50.5, 62.1, 56.1, 54.0],
    ]
)


def by_dataset(runs: Array) -> list[Array]:
    return list(runs.T)


def test_the_numbers_are_those_of_rliable() -> None:
    """rliable 1.2.0: aggregate_iqm(X) and probability_of_improvement(X, Y)."""
    assert across_datasets.interquartile_mean(by_dataset(X)).value == pytest.approx(59.19)
    better = across_datasets.probability_of_improvement(by_dataset(X), by_dataset(Y), True)
    assert better.value == pytest.approx(0.56)


def test_the_interquartile_mean_is_the_middle_half() -> None:
    values = sorted(X.ravel())
    found = across_datasets.interquartile_mean(by_dataset(X))
    assert found.value == pytest.approx(fmean(values[5:15]))
    assert found.low < found.value < found.high


@pytest.mark.parametrize("higher", [True, False])
def test_the_probability_counts_pairs_and_ties_by_half(higher: bool) -> None:
    first, second = [np.array([1.0, 2.0, 3.0]), np.array([5.0, 5.0])], [X[0], np.array([5.0, 4.0])]
    second[0] = np.array([2.0, 2.0, 9.0, 0.0])

    def wins(x: float, y: float) -> float:
        return 0.5 if x == y else float((x > y) == higher)

    pairs = zip(first, second, strict=True)
    expected = fmean(fmean(wins(x, y) for x, y in product(*pair)) for pair in pairs)
    found = across_datasets.probability_of_improvement(first, second, higher)
    assert found.value == pytest.approx(expected)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_interval_draws_seeds_within_datasets() -> None:
    """Datasets that differ by 50 points and seeds by none have no interval but their value."""
    scores = [np.full(5, 20.0), np.full(5, 70.0)]
    with np.errstate(all="raise"):
        found = across_datasets.interquartile_mean(scores)
    assert (found.value, found.low, found.high) == (45, 45, 45)


def test_the_interval_is_a_bootstrap_in_plain_python() -> None:
    rng = np.random.default_rng(5)
    drawn = [
        fmean(sorted(np.concatenate([rng.choice(own, 5) for own in by_dataset(X)]))[5:15])
        for _ in range(4000)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    found = across_datasets.interquartile_mean(by_dataset(X))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.25)


def test_one_seed_has_no_interval() -> None:
    found = across_datasets.interquartile_mean([np.array([1.0]), np.array([3.0])])
    assert found.value == 2
    assert math.isnan(found.low)


def test_a_profile_is_the_share_of_better_runs() -> None:
    thresholds = np.array([0.0, 58.3, 59.4, 100.0])
    found = across_datasets.performance_profile(by_dataset(X), thresholds, True)
    assert found == pytest.approx([np.mean([x > t for x in X.ravel()]) for t in thresholds])
    lower = across_datasets.performance_profile(by_dataset(X), thresholds, False)
    assert lower[2] == pytest.approx(np.mean(X.ravel() < 59.4))


def run_of(dataset: str, method: str, seed: int, value: float) -> Run:
    group = f"{method}_0000000{method == 'a':d}"
    return Run(dataset, group, seed, readings={"last": {"test/recall@1": value}})


def test_a_figure_of_profiles_has_the_share_of_every_threshold() -> None:
    values = {"a": [0.5, 0.6, 0.8], "b": [0.4, 0.5, 0.7]}
    runs = [
        run_of(dataset, method, seed, value)
        for dataset in ("cub200", "sop")
        for method, own in values.items()
        for seed, value in enumerate(own)
    ]
    (axes,) = performance_profiles(runs, "recall@1", "last").axes
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == ["a", "b"]
    x, y = (np.asarray(data) for data in lines["a"].get_data())
    assert y[np.searchsorted(x, 55)] == pytest.approx(2 / 3)
    assert (y[0], y[-1]) == (1, 0)
    with pytest.raises(ValueError, match="need two datasets, got 1"):
        performance_profiles(runs[:6], "recall@1", "last")
