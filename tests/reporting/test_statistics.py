"""Spread, intervals, tests and ranks against numbers of textbooks and plain Python."""

import math
import statistics as plain

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t, ttest_rel

from reporting import statistics


def test_spread_and_interval_are_those_of_a_textbook() -> None:
    values = [10.0, 12.0, 11.0, 13.0, 14.0]
    assert statistics.spread(values) == pytest.approx(plain.stdev(values))
    expected = 2.776445 * plain.stdev(values) / math.sqrt(5)  # t of 4 degrees of freedom, 97.5 %
    assert statistics.half_interval(values) == pytest.approx(expected, rel=1e-6)
    assert statistics.half_interval([1.0, 3.0]) == pytest.approx(12.706205, rel=1e-6)
    assert math.isnan(statistics.spread([1.0]))
    assert math.isnan(statistics.half_interval([1.0]))


def test_a_paired_test_uses_the_seeds_that_both_have() -> None:
    first = {0: 5.0, 1: 6.5, 2: 7.0, 9: 100.0}
    second = {2: 6.5, 1: 6.0, 0: 4.0, 3: -100.0}
    found = statistics.paired(first, second)
    assert (found.n, found.mean) == (3, pytest.approx((1.0 + 0.5 + 0.5) / 3))
    assert found.p == pytest.approx(ttest_rel([5.0, 6.5, 7.0], [4.0, 6.0, 6.5]).pvalue)
    assert found.high - found.mean == pytest.approx(found.mean - found.low)
    assert found.low == pytest.approx(found.mean - statistics.half_interval([1.0, 0.5, 0.5]))


def by_hand(first: dict[int, float], second: dict[int, float]) -> tuple[float, float, float]:
    """Lower and upper end of the 95 % interval and the p-value, from the textbook's formulas."""
    differences = [first[seed] - second[seed] for seed in first]
    n, mean = len(differences), plain.mean(differences)
    error = plain.stdev(differences) / math.sqrt(n)
    half = t.ppf(0.975, n - 1) * error
    return mean - half, mean + half, 2 * t.sf(abs(mean) / error, n - 1)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_a_paired_test_is_the_formula(n: int) -> None:
    draw = np.random.default_rng(n)
    for shift in (0.0, 0.5, 20.0):
        first = dict(enumerate(draw.normal(60, 2, n)))
        second = dict(enumerate(draw.normal(60 + shift, 1, n)))
        found = statistics.paired(first, second)
        assert (found.low, found.high, found.p) == pytest.approx(by_hand(first, second), rel=1e-12)


def test_equal_differences_that_rounding_separates_are_no_warning() -> None:
    first = {seed: 60 + seed / 10 for seed in range(5)}
    found = statistics.paired(first, {seed: value - 0.1 for seed, value in first.items()})
    assert found.p < 1e-50
    assert found.low == pytest.approx(found.high) == pytest.approx(0.1)


def test_pairs_that_cannot_be_tested_say_so() -> None:
    assert math.isnan(statistics.paired({0: 1.0}, {0: 2.0}).p)
    assert statistics.paired({0: 1.0}, {1: 2.0}).n == 0
    assert statistics.paired({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}).p == 1
    assert statistics.paired({0: 2.0, 1: 3.0}, {0: 1.0, 1: 2.0}).p == 0


def test_holm_on_a_worked_example() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    adjusted = statistics.holm([0.5, float("nan"), 0.9])
    assert adjusted[0] == 1
    assert math.isnan(adjusted[1])
    assert adjusted[2] == 1


def test_holm_rejects_nothing_that_bonferroni_keeps_too_easily() -> None:
    p_values = np.random.default_rng(0).uniform(size=20).tolist()
    adjusted = statistics.holm(p_values)
    assert all(p <= a <= min(1, 20 * p) + 1e-12 for p, a in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values)
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)


def rank(value: float, among: list[float]) -> float:
    """1 is highest; ties share the mean of their places."""
    places = [place for place, other in enumerate(sorted(among, reverse=True), 1) if other == value]
    return plain.mean(places)


def test_ranks_agree_with_the_definition_and_the_published_table_of_q() -> None:
    rng = np.random.default_rng(1)
    means = pd.DataFrame(rng.normal(size=(10, 4)), columns=list("abcd"))
    means.loc[0, "a"] = means.loc[0, "b"]  # a tie
    found = statistics.ranks(means, higher_is_better=True)
    for name in "abcd":
        by_hand = [rank(row[name], list(row)) for _, row in means.iterrows()]
        assert found.mean[name] == pytest.approx(plain.mean(by_hand))
    # Demšar 2006, Table 5: q of 0.05 is 2.569 for four methods
    assert found.critical == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 10)), abs=1e-3)
    lower = statistics.ranks(-means, higher_is_better=False)
    assert lower.mean.to_dict() == found.mean.to_dict()
    assert 0 < found.p < 1


def test_ranks_leave_out_methods_that_lack_a_dataset() -> None:
    means = pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 1.0], "c": [3.0, None]})
    found = statistics.ranks(means, True)
    assert (found.num_datasets, list(found.mean.index)) == (2, ["a", "b"])
    with pytest.raises(ValueError, match="two datasets"):
        statistics.ranks(means[:1], True)
