"""Progress of a run: lines on standard output, and a bar in a terminal."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Self, TypeVar

from engine.config.settings import Progress
from engine.progress import INTERVAL, in_terminal, print_line
from engine.schedule import TrainingSchedule, format_epoch
from engine.time_left import TimeLeft
from engine.training_bar import TrainingBar

FIRST = 10  # seconds from the first step to the first line between evaluations
Item = TypeVar("Item")


class Best(NamedTuple):
    """A metric after an evaluation: its value, its best value so far and the epoch of that one."""

    metric: str
    value: float
    best: float
    epoch: float

    def __str__(self) -> str:
        best = f"best {self.best:.4f} (epoch {format_epoch(self.epoch)})"
        return f"{self.metric} {self.value:.4f}  {best}"


class RunProgress:
    """Progress of a run: prints a line for each evaluation and, without a bar, one a minute.

    A line costs no wait for the device: it shows the loss of the latest training record.

    Args:
        schedule: the length of the run and its evaluations.
        progress: `bar` shows a bar on standard error besides the lines of evaluations; `lines`
            prints lines only; `none` nothing; `auto` is `bar` in a terminal, else `lines`.
        clock: returns seconds.
    """

    def __init__(
        self,
        schedule: TrainingSchedule,
        progress: Progress = "auto",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.schedule, self.clock = schedule, clock
        self.silent = progress == "none"
        shows_bar = progress == "bar" or (progress == "auto" and in_terminal())
        self.bar = TrainingBar(schedule.total_steps) if shows_bar else None
        self.time_left = TimeLeft(schedule, clock)
        self.due = self.clock() + FIRST  # when the next line between evaluations is printed
        self.loss = self.rate = self.metric = ""  # of the latest record

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def describe(self, lines: Sequence[str]) -> None:
        """Print what the run is going to do."""
        for line in lines:
            self._print(line)

    def start(self, step: int) -> None:
        """Begin at an optimizer step; a resumed run begins at that of its checkpoint."""
        if step:
            self._print(f"resumed after {self._position(step)}")
        if self.bar is not None:
            self.bar.start(step)
        self.time_left.start(step)
        self.due = self.clock() + FIRST

    def advance(self, step: int) -> None:
        """Show that a step is done; called after every step."""
        if self.bar is not None:
            self.bar.advance(step)
        elif self.clock() >= self.due:
            self.time_left.trained(step)
            self._print(self._line(step, self.loss, self.rate))

    def trained(self, step: int, means: Mapping[str, float]) -> None:
        """Show the loss and the images per second of a training record."""
        self.time_left.trained(step)
        self.loss = f"loss {means['train/loss']:.4f}"
        self.rate = f"{means['train/images_per_second']:,.0f} images/s"
        self._show_latest()

    def evaluated(self, step: int, best: Best | None) -> None:
        """Show the metric of an evaluation."""
        self.time_left.evaluated()
        if best is not None:
            self.metric = f"{best.metric} {best.value:.4f}"
        self._print(self._line(step, self.loss, str(best or "evaluated")))
        self._show_latest()
        if self.bar is not None:
            self.bar.describe("training")

    def watch(self, batches: Iterable[Item], total: int, activity: str) -> Iterator[Item]:
        """Iterate over the batches of an evaluation, and show how many are done."""
        for number, batch in enumerate(batches, start=1):
            yield batch
            if self.bar is not None:
                self.bar.describe(f"{activity} {number}/{total}")
            elif self.clock() >= self.due:
                self._print(f"{activity}: batch {number:,} of {total:,}")
        if self.bar is not None:
            self.bar.describe("evaluating")

    def _show_latest(self) -> None:
        if self.bar is not None:
            shown = (str(self.time_left), self.loss, self.metric, self.rate)
            self.bar.show("  ".join(filter(None, shown)))

    def _line(self, step: int, *parts: str) -> str:
        return "  ".join(filter(None, [self._position(step), *parts, str(self.time_left)]))

    def _position(self, step: int) -> str:
        total = self.schedule.total_steps
        if total == 0:
            return "before training"
        done, all_epochs = map(format_epoch, map(self.schedule.epoch, (step, total)))
        return f"epoch {done}/{all_epochs}  step {step:,}/{total:,}"

    def _print(self, line: str) -> None:
        self.due = self.clock() + INTERVAL
        if not self.silent:
            print_line(line)
