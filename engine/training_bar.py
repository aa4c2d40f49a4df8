"""Bar of a training in a terminal."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text


class LatestColumn(ProgressColumn):
    """Column of the latest numbers; the only one that a narrow terminal shortens."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["latest"], no_wrap=True, overflow="ellipsis")


class TrainingBar:
    """Bar of a training on standard error: steps, time left, latest loss, metric and speed.

    Args:
        total_steps: length of the run in optimizer steps.
    """

    def __init__(self, total_steps: int) -> None:
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            LatestColumn(),
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
        """Show the latest numbers."""
        self.bar.update(self.task, latest=latest)

    def describe(self, activity: str) -> None:
        """Show what the run is doing."""
        self.bar.update(self.task, description=activity)

    def stop(self) -> None:
        self.bar.stop()
