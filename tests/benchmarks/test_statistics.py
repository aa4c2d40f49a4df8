"""The simulated tests are those of the tables, and the committed shares can be found again."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import studentized_range  # type: ignore[attr-defined]

from benchmarks import multiple_comparisons, statistics
from reporting import best

TABLE = Path(__file__).parents[2] / "results" / "benchmarks" / "statistics.csv"


@pytest.mark.parametrize("name", ["paired", "dunnett", "moderated"])
def test_a_simulated_test_is_the_one_of_a_table(name: best.Test) -> None:
    below = np.array([0.0, 1.0, 2.0, 4.0, 6.0])
    values = statistics.draw(np.random.default_rng(0), below, "18 times", 0.6, 40)
    apart = multiple_comparisons.TESTS[name](values)
    for marks, column in zip(apart, values, strict=True):
        columns = {str(row): dict(enumerate(own)) for row, own in enumerate(column)}
        kept = best.not_worse(columns, True, name)
        assert {name for name in columns if not marks[int(name)]} == kept
    assert 0 < apart.mean() < 0.8


def test_critical_values_are_those_of_the_tables() -> None:
    """Dunnett 1964, two-sided 5 %: 20 degrees of freedom, four groups beside the control."""
    assert multiple_comparisons.dunnett_quantile(5, 20) == pytest.approx(2.65, abs=5e-3)
    expected = studentized_range.ppf(0.95, 5, [4.5, 13, 20]) / np.sqrt(2)
    found = multiple_comparisons.range_quantile(5, np.array([4.5, 13, 20]))
    assert found == pytest.approx(expected, rel=5e-3)


def test_the_committed_table_can_be_made_again() -> None:
    """One world of few repetitions, within four standard errors."""
    table = pd.read_csv(TABLE)
    rows = pd.DataFrame(statistics.simulate(5, 200, seed=7))
    both = rows.merge(table, on=["methods", "means", "deviations", "seed_effect", "test"])
    assert len(both) == len(rows)
    share = (both.false_any_y / 100).clip(0.005, 0.995)
    error = 100 * np.sqrt(share * (1 - share) * (1 / 200 + 1 / 2000))
    assert ((both.false_any_x - both.false_any_y).abs() < 4.5 * error).all()


def test_the_default_test_errs_least_of_those_that_see_five_points() -> None:
    """What docs/results.md concludes."""
    table = pd.read_csv(TABLE)
    own = table[(table.methods == 55) & (table.deviations == "measured")]
    own = own[own.seed_effect == 0.6].set_index(["means", "test"])
    errors, power = own.loc["equal"].false_any, own.loc["graded"].apart_5
    capable = [name for name in power.index if power[name] > 90]
    assert errors[capable].idxmin() == "moderated"
    assert power["paired"] < 50
    assert errors["dunnett"] > 50


def test_the_page_shows_the_committed_numbers() -> None:
    own = pd.read_csv(TABLE).set_index(["methods", "deviations", "test", "seed_effect", "means"])
    page = (TABLE.parents[2] / "docs" / "results.md").read_text()
    rows = re.findall(r"^\| (5|55) \| ([a-z0-9 ]+) \| [*`]*([a-z_]+)[*`]* \| (.*) \|$", page, re.M)
    assert len(rows) == 24
    for methods, deviations, test, cells in rows:
        place = (int(methods), deviations.removeprefix("as "), test, 0.6)
        errors, power = own.loc[(*place, "equal")], own.loc[(*place, "graded")]
        shown = [float(cell) for cell in cells.split(" | ")]
        assert shown[:2] == pytest.approx([errors.false_each, errors.false_any], abs=0.051)
        expected = [power[f"apart_{step}"] for step in statistics.STEPS[1:]]
        assert shown[2:] == pytest.approx(expected, abs=0.51)
