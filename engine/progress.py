"""Progress bars: show work done, speed and remaining time; only on a terminal."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
    track,
)
from rich.progress import Progress as Bar

Item = TypeVar("Item")


class Progress:
    """Progress bar of a training, on standard error; shows nothing unless that is a terminal."""

    def __init__(self, total_steps: int) -> None:
        console = Console(stderr=True)
        self.bar = Bar(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  {task.fields[rate]:.0f} images/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("training", total=total_steps, loss=0, rate=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def start(self, step: int) -> None:
        """Show the bar, starting at the optimizer step of the last checkpoint."""
        self.bar.reset(self.task, completed=step)
        self.bar.start()

    def advance(self, step: int) -> None:
        """Set the number of completed steps."""
        self.bar.update(self.task, completed=step)

    def show(self, means: Mapping[str, float]) -> None:
        """Show the loss and the images per second of a training record."""
        rate = means["train/images_per_second"]
        self.bar.update(self.task, loss=means["train/loss"], rate=rate)


def progress_bar(items: Iterable[Item], total: int, description: str) -> Iterable[Item]:
    """Iterate over items with a progress bar."""
    console = Console(stderr=True)
    return track(items, description, total, console=console, disable=not console.is_terminal)


def spinner(description: str) -> AbstractContextManager[object]:
    """Show a spinner during one long operation."""
    console = Console(stderr=True)
    return console.status(description) if console.is_terminal else nullcontext()


@contextmanager
def transfer_bar(description: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show the progress of a download; yields its update function (bytes so far, total bytes)."""
    console = Console(stderr=True)
    columns = TextColumn(description), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Bar(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
