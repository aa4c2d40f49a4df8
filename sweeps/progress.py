"""Progress of a sweep on the terminal: a line as each run ends, and a table of failed runs."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from core.console import relative_to_cwd, unwrapped_console
from core.duration import format_duration
from core.errors import UserError
from sweeps.job import Outcome


class SweepError(UserError):
    """Some runs of a sweep did not finish."""


class SweepProgress:
    """Prints each run that ends on standard error; a terminal also shows counts and time left."""

    def __init__(self, total: int, parallel_runs: int) -> None:
        self.console = Console(stderr=True)
        self.status = self.console.status("") if self.console.is_terminal else None
        self.total, self.parallel_runs, self.done = total, parallel_runs, 0
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
        duration = f" in {format_duration(outcome.seconds)}" if outcome.seconds else ""
        reason = f": {outcome.reason}" if outcome.reason else ""
        folder = relative_to_cwd(outcome.folder)
        self.console.print(
            f"[{self.done}/{self.total}] {outcome.state}{duration} {folder}{reason}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def counts(self, running: int, locked_by_other: int, waiting: int) -> None:
        if self.status is not None:
            parts = {"running": running, "locked by another": locked_by_other, "waiting": waiting}
            counts = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
            self.status.update(f"{self.done} of {self.total} done, {counts}{self._time_left()}")

    def stopping(self, running: int) -> None:
        """Print this before the processes of the runs have ended, which may take a while."""
        self.console.print(f"stopping {running} runs, which can be resumed", highlight=False)

    def _time_left(self) -> str:
        """An estimate of the time left; empty before a run has finished."""
        if not self.seconds:
            return ""
        mean = sum(self.seconds) / len(self.seconds)
        return (
            f", about {format_duration(mean * (self.total - self.done) / self.parallel_runs)} left"
        )


def conclude(outcomes: Sequence[Outcome]) -> None:
    """Print how many runs ended in each state, and why runs failed.

    Raises:
        SweepError: some runs did not finish.
    """
    console = unwrapped_console(stderr=True)
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
    """Table of the runs that failed, with the reason of each."""
    grid = Table("run", "reason", box=None, header_style="bold")
    grid.columns[0].overflow = grid.columns[1].overflow = "fold"
    for outcome in outcomes:
        grid.add_row(str(relative_to_cwd(outcome.folder)), outcome.reason)
    return grid
