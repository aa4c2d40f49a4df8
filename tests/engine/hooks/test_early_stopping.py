"""Early stopping on sequences made by hand, and beside a loop that keeps counters."""

import numpy as np
import pytest

from core.errors import UserError
from engine.hooks.early_stopping import EarlyStopping
from engine.hooks.hook import STOP
from tests.engine.hooks.contexts import context

EVERY = 10  # steps between two evaluations


def stops_at(hook: EarlyStopping, metric: str, values: list[float | None]) -> int | None:
    """The step at which the hook stops a run with these evaluations; None if it does not."""
    seen = []
    for number, value in enumerate(values, start=1):
        seen.append({"step": EVERY * number, "epoch": number, metric: value})
        if hook.after_evaluation(context(EVERY * number, evaluations=tuple(seen))) is STOP:
            return EVERY * number
    return None


@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "stop"),
    [
        ([0.1, 0.2, 0.3, 0.4], 0, 0.0, None),  # always better
        ([0.5, 0.4, 0.6, 0.5], 0, 0.0, 20),  # at the first that is not better
        ([0.5, 0.4, 0.6, 0.5], 10, 0.0, None),  # the best is never more than 10 steps old
        ([0.5, 0.4, 0.4, 0.6], 10, 0.0, 30),
        ([0.5, 0.5, 0.5, 0.5], 20, 0.0, 40),  # the same value is no better
        ([0.50, 0.55, 0.60, 0.65], 20, 0.08, None),  # 0.60 beats 0.50 by more than min_delta
        ([0.50, 0.55, 0.56, 0.57], 20, 0.08, 40),
        ([0.50, 0.75, 0.50], 0, 0.25, 20),  # a gain of min_delta itself does not count
        ([0.9], 0, 0.0, None),
    ],
)
def test_a_run_ends_when_the_best_evaluation_is_too_old(
    values: list[float | None], patience: int, min_delta: float, stop: int | None
) -> None:
    hook = EarlyStopping("val/recall@1", patience, min_delta)
    assert stops_at(hook, "val/recall@1", values) == stop


@pytest.mark.parametrize("higher", [True, False])
def test_it_is_the_loop_that_keeps_the_best_value(higher: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        values = rng.integers(0, 8, size=12).astype(float).tolist()
        patience, min_delta = int(rng.integers(0, 5)) * EVERY, float(rng.integers(0, 3))
        best, waited, expected = values[0], 0, None
        for number, value in enumerate(values[1:], start=2):
            gain = value - best if higher else best - value
            best, waited = (value, 0) if gain > min_delta else (best, waited + EVERY)
            if waited > patience:
                expected = EVERY * number
                break
        hook = EarlyStopping("val/x", patience, min_delta, higher_is_better=higher)
        assert stops_at(hook, "val/x", values) == expected


def test_the_direction_is_that_of_the_metric_unless_it_is_given() -> None:
    falling = [0.4, 0.3, 0.2]
    assert stops_at(EarlyStopping("val/recall@1", 0), "val/recall@1", falling) == 20
    assert stops_at(EarlyStopping("val/dists@intra", 0), "val/dists@intra", falling) is None
    assert stops_at(EarlyStopping("val/mean_norm", 0), "val/mean_norm", falling) == 20
    lower = EarlyStopping("val/recall@1", 0, higher_is_better=False)
    assert stops_at(lower, "val/recall@1", falling) is None


def test_an_evaluation_without_the_metric_is_named() -> None:
    hook = EarlyStopping("val/recall@1", 0)
    for record in ({"step": 10}, {"step": 10, "val/recall@1": None}):
        with pytest.raises(UserError, match="val/recall@1, which is not measured at step 10"):
            hook.after_evaluation(context(10, evaluations=(record,)))


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 0, got -1 and 0"):
        EarlyStopping("val/recall@1", -1)
