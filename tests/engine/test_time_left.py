"""The time left against sums worked out by hand, with a clock of the test."""

import pytest

from engine.schedule import TrainingSchedule
from engine.time_left import TimeLeft

# 10 steps, evaluated after steps 4, 8 and 10
RUN = TrainingSchedule(
    steps_per_epoch=2, total_steps=10, evaluate_every=4, log_every=1, checkpoint_every=100
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_steps_and_evaluations_that_are_left_take_as_long_as_those_before() -> None:
    clock = Clock()
    left = TimeLeft(RUN, clock)
    left.start(0)
    assert left.seconds is None
    clock.now = 6  # 3 s a step
    left.trained(2)
    assert left.seconds == 8 * 3
    assert str(left) == "24 s left without evaluations"
    clock.now = 12
    left.trained(4)
    clock.now = 82  # 70 s the evaluation
    left.evaluated()
    assert left.seconds == 6 * 3 + 2 * 70
    assert str(left) == "2:38 min left"


def test_a_resumed_run_counts_the_steps_of_its_process() -> None:
    clock = Clock()
    left = TimeLeft(RUN, clock)
    clock.now = 1000
    left.start(6)
    clock.now = 1005
    left.trained(7)
    assert left.seconds == 3 * 5


def test_nothing_is_left_after_the_last_step() -> None:
    clock = Clock()
    left = TimeLeft(RUN, clock)
    clock.now = 10
    left.trained(10)
    left.evaluated()
    assert left.seconds == 0
    assert str(left) == ""


@pytest.mark.parametrize(
    ("total", "every"), [(10, 4), (8, 4), (3, 4), (1, 1), (0, 4), (7, 3)], ids=str
)
def test_evaluations_after_a_step_are_those_that_a_run_makes(total: int, every: int) -> None:
    schedule = TrainingSchedule(5, total, every, 1, 1)
    for step in range(total + 1):
        later = [s for s in range(step + 1, total + 1) if schedule.evaluates(s)]
        assert schedule.evaluations_after(step) == len(later)
