"""A sweep on the screen: a line as each run ends, and a table of those that failed."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from core.errors import UserError
from sweeps.job import Outcome


class SweepError(UserError):
    """Some runs of a sweep did not finish."""


class SweepProgress:
    """Says on standard error what ends, and on a terminal also what runs and for how long yet."""

    def __init__(self, total: int, at_once: int) -> None:
        self.console = Console(stderr=True)
        self.status = self.console.status("") if self.console.is_terminal else None
        self.total, self.at_once, self.done = total, at_once, 0
        self.seconds: list[float] = []

    def __enter__(self) -> "SweepProgress":
        if self.status is not None:
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is not None:
            self.status.stop()

    def ended(self, outcome: Outcome) -> None:
        self.done += 1
        if outcome.state == "finished":
            self.seconds.append(outcome.seconds)
        spent = f" in {clock(outcome.seconds)}" if outcome.seconds else ""
        reason = f": {outcome.reason}" if outcome.reason else ""
        self.console.print(
            f"[{self.done}/{self.total}] {outcome.state}{spent} {near(outcome.folder)}{reason}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def counts(self, running: int, elsewhere: int, waiting: int) -> None:
        if self.status is not None:
            parts = {"running": running, "running elsewhere": elsewhere, "waiting": waiting}
            said = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
            self.status.update(f"{self.done} of {self.total} done, {said}{self._left()}")

    def stopping(self, running: int) -> None:
        """At once, for the processes of the runs may take a while to end."""
        self.console.print(f"stopping {running} runs, which can be resumed", highlight=False)

    def _left(self) -> str:
        """An estimate, once a run has finished."""
        if not self.seconds:
            return ""
        mean = sum(self.seconds) / len(self.seconds)
        return f", about {clock(mean * (self.total - self.done) / self.at_once)} left"


def conclude(outcomes: Sequence[Outcome]) -> None:
    """Print how many ended how, and why some failed.

    Raises:
        SweepError: not all are finished.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        console.width = 1000  # a log has no edge to fold at
    counts = Counter(outcome.state for outcome in outcomes)
    console.print(", ".join(f"{n} {state}" for state, n in counts.items()), highlight=False)
    unfinished = [o for o in outcomes if o.state not in ("finished", "skipped")]
    if unfinished:
        console.print(failures(unfinished))
        raise SweepError(
            f"{len(unfinished)} of {len(outcomes)} runs did not finish; "
            "the same command again skips the others and continues these"
        )


def failures(outcomes: Sequence[Outcome]) -> Table:
    grid = Table("run", "reason", box=None, header_style="bold")
    grid.columns[0].overflow = grid.columns[1].overflow = "fold"
    for outcome in outcomes:
        grid.add_row(str(near(outcome.folder)), outcome.reason)
    return grid


def near(path: Path) -> Path:
    """Relative to the working directory where it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def clock(seconds: float) -> str:
    """`12 s`, `3:45 min` or `2:05 h`."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes, seconds = divmod(whole, 60)
    if minutes < 100:
        return f"{minutes}:{seconds:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"
