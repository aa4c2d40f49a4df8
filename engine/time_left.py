"""Estimate of the time that a run still takes."""

import time
from collections.abc import Callable

from core.duration import format_duration
from engine.schedule import TrainingSchedule


class TimeLeft:
    """Time left: estimated from the steps and evaluations of this process.

        seconds = steps left * seconds per step + evaluations left * seconds per evaluation

    Args:
        schedule: the length of the run and its evaluations.
        clock: returns seconds.
    """

    def __init__(
        self, schedule: TrainingSchedule, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.schedule, self.clock = schedule, clock
        self.training = self.evaluating = 0.0  # seconds
        self.evaluations = 0
        self.start(0)

    def start(self, step: int) -> None:
        """Begin at an optimizer step; a resumed run begins at that of its checkpoint."""
        self.first = self.step = step
        self.since = self.clock()

    def trained(self, step: int) -> None:
        """Count the time since the last call of any method as training up to `step`."""
        self.training += self._elapsed()
        self.step = step

    def evaluated(self) -> None:
        """Count the time since the last call of any method as an evaluation."""
        self.evaluating += self._elapsed()
        self.evaluations += 1

    @property
    def seconds(self) -> float | None:
        """The estimate, without evaluations as long as none was measured; None before any step."""
        if self.step == self.first:
            return None
        steps = self.schedule.total_steps - self.step
        estimate = steps * self.training / (self.step - self.first)
        if self.evaluations:
            left = self.schedule.evaluations_after(self.step)
            estimate += left * self.evaluating / self.evaluations
        return estimate

    def __str__(self) -> str:
        """`2:05 h left`; empty after the last step and before any."""
        if self.seconds is None or self.step >= self.schedule.total_steps:
            return ""
        without = "" if self.evaluations else " without evaluations"
        return f"{format_duration(self.seconds)} left{without}"

    def _elapsed(self) -> float:
        now = self.clock()
        passed, self.since = now - self.since, now
        return passed
