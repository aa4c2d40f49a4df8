"""Tests against the best method: scipy, limma and worked numbers beside them."""

import math

import numpy as np
import pytest
from scipy import stats

from reporting import best
from reporting.best import Columns, Test

# three groups of Dunnett 1955, blood counts of animals: control and two drugs
BLOOD = {
    "control": [7.40, 8.50, 7.20, 8.24, 9.84, 8.32],
    "a": [9.76, 8.80, 7.68, 9.36],
    "b": [12.80, 9.68, 12.16, 9.20, 10.55],
}


def as_columns(groups: dict[str, list[float]]) -> Columns:
    return {name: dict(enumerate(values)) for name, values in groups.items()}


def test_dunnett_has_the_published_decision() -> None:
    """Dunnett 1955, as scipy documents it: drug b differs from the control, a does not."""
    found = best.dunnett_p_values(as_columns(BLOOD), "control")
    assert found["a"] == pytest.approx(0.620, abs=2e-3)
    assert found["b"] == pytest.approx(0.0059, abs=3e-4)


# Moderated variances

VARIANCES = np.array([0.2, 0.9, 1.7, 4.0, 12.0, 0.6])
LIMMA = [0.52415516, 0.9767018, 1.49389795, 2.98083688, 8.1527984, 0.78275324]  # squeezeVar, df = 4
LIMMA_UNEQUAL = [0.54956226, 1.00285335, 1.5209003, 2.53640274, 7.45495981, 0.80858574]


@pytest.mark.parametrize(
    ("freedom", "expected", "prior"),
    [([4, 4, 4, 4, 4, 4], LIMMA, 2.1872077), ([4, 4, 4, 2, 3, 4], LIMMA_UNEQUAL, 2.1770463)],
    ids=["equal", "unequal"],
)
def test_variances_are_those_of_limma(
    freedom: list[int], expected: list[float], prior: float
) -> None:
    """`squeezeVar` of inmoose 0.9.1, the port of limma to Python."""
    found = best.moderate(VARIANCES, np.array(freedom))
    assert found.variances == pytest.approx(expected, rel=1e-6)
    assert found.freedom == pytest.approx(np.array(freedom) + prior, rel=1e-6)


def test_variances_that_agree_are_pooled() -> None:
    found = best.moderate(np.array([0.9, 1.0, 1.1, 1.2, 1.0]), np.full(5, 4))
    assert found.variances == pytest.approx([1.04] * 5)
    assert found.freedom == pytest.approx([20] * 5)


def test_a_method_without_variance_does_not_set_the_common_one() -> None:
    """A pretrained network that is not trained has the same value for every seed."""
    spread = np.array([0.9, 1.0, 1.1, 1.2, 1.0])
    found = best.moderate(np.array([*spread, 0.0]), np.full(6, 4))
    assert found.variances == pytest.approx([1.04 * 5 / 6] * 6)
    assert best.moderate(np.zeros(3), np.full(3, 4)).variances.tolist() == [0, 0, 0]


# The test of the range


def test_equal_variances_make_it_the_test_of_tukey() -> None:
    noise = np.array([-1.0, -0.4, 0.1, 0.5, 0.8])
    groups = {
        name: list(mean + noise) for name, mean in zip("abc", (60.0, 59.0, 58.0), strict=True)
    }
    found = best.moderated_p_values(as_columns(groups), "a")
    expected = stats.tukey_hsd(*groups.values()).pvalue[0]
    assert [found["b"], found["c"]] == pytest.approx(list(expected[1:]), rel=1e-6)


def test_unequal_numbers_of_seeds_are_those_of_tukey_and_kramer() -> None:
    groups = {"a": [60.0, 61.0, 62.0], "b": [57.5, 59.5], "c": [58.0, 59.0, 60.0, 58.0, 59.0, 60.0]}
    found = best.moderated_p_values(as_columns(groups), "a")
    expected = stats.tukey_hsd(*groups.values()).pvalue[0]
    assert [found["b"], found["c"]] == pytest.approx(list(expected[1:]), rel=1e-6)


def test_unequal_variances_are_near_games_and_howell() -> None:
    """Without moderation, the numbers are those of scipy; moderation gives more freedom."""
    groups = {
        "a": [60.0, 64.0, 56.0, 61.0, 59.0],
        "b": [57.01, 57.0, 57.02, 56.99, 57.0],
        "c": [50.0, 51.0, 50.5, 50.2, 49.9],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best, "moderate", lambda v, d: best.Moderated(v, d.astype(float)))
        found = best.moderated_p_values(as_columns(groups), "a")
    expected = stats.tukey_hsd(*groups.values(), equal_var=False).pvalue[0]
    assert [found["b"], found["c"]] == pytest.approx(list(expected[1:]), rel=1e-6)
    moderated = best.moderated_p_values(as_columns(groups), "a")
    assert all(moderated[name] < found[name] for name in "bc")


@pytest.mark.parametrize("test", best.TESTS)
@pytest.mark.parametrize("higher", [True, False])
def test_not_worse_is_the_best_and_what_the_seeds_cannot_tell_from_it(
    higher: bool, test: Test
) -> None:
    sign = 1 if higher else -1
    columns = {
        "best": {0: 10.0, 1: 10.2, 2: 9.9, 3: 10.1},
        "close": {0: 9.8, 1: 10.3, 2: 9.7, 3: 10.2},
        "far": {0: 5.0, 1: 5.3, 2: 4.9, 3: 5.2},
        "alone": {0: 10.0},
    }
    signed = {name: {s: sign * v for s, v in own.items()} for name, own in columns.items()}
    assert best.not_worse(signed, higher, test) == {"best", "close"}


@pytest.mark.parametrize("test", best.TESTS)
def test_columns_without_a_test(test: Test) -> None:
    """A user has one seed, or methods whose seeds all give the same value."""
    single = {"a": {0: 3.0}, "b": {0: 2.0}, "c": {0: 1.0}}
    assert best.not_worse(single, True, test) == {"a"}
    constant = {"a": {0: 2.0, 1: 2.0}, "b": {0: 2.0, 1: 2.0}, "c": {0: 1.0, 1: 1.0}}
    assert best.not_worse(constant, True, test) == {"a", "b"}
    best_alone = {"a": {0: 9.0}, "b": {0: 2.0, 1: 2.5}, "c": {0: 1.0, 1: 1.5}}
    assert best.not_worse(best_alone, True, test) == {"a"}
    assert all(math.isnan(p) for p in best.P_VALUES[test](best_alone, "a").values())
