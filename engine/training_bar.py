"""Bar of a training in a terminal."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingBar:
    """Bar of a training on standard error, with its latest loss and metric.

    Args:
        total_steps: length of the run in optimizer steps.
    """

    def __init__(self, total_steps: int) -> None:
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[latest]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True, force_terminal=True),
            refresh_per_second=2,
            # what is printed goes above the bar, unless it goes to a file or pipe
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
        )
        self.task = self.bar.add_task("training", total=total_steps, latest="")

    def start(self, step: int) -> None:
        """Show the bar at an optimizer step."""
        self.bar.reset(self.task, completed=step)
        self.bar.start()

    def advance(self, step: int) -> None:
        """Set the number of completed steps."""
        self.bar.update(self.task, completed=step, description="training")

    def show(self, latest: str) -> None:
        """Show the latest loss and metric."""
        self.bar.update(self.task, latest=latest)

    def describe(self, activity: str) -> None:
        """Show what the run does besides training."""
        self.bar.update(self.task, description=activity)

    def stop(self) -> None:
        self.bar.stop()
