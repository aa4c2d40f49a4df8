"""Progress bars: what is done, how fast and the time left; only on a terminal."""

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
        """Show the bar, with the steps that an earlier process has taken."""
        self.bar.reset(self.task, completed=step)
        self.bar.start()

    def advance(self, step: int) -> None:
        self.bar.update(self.task, completed=step)

    def show(self, train: Mapping[str, float]) -> None:
        rate = train["train/images_per_second"]
        self.bar.update(self.task, loss=train["train/loss"], rate=rate)


def watched(items: Iterable[Item], total: int, doing: str) -> Iterable[Item]:
    """The items, with a bar that shows how many of them are done, only on a terminal."""
    console = Console(stderr=True)
    return track(items, doing, total, console=console, disable=not console.is_terminal)


def busy(doing: str) -> AbstractContextManager[object]:
    """A spinner during one long step, only on a terminal."""
    console = Console(stderr=True)
    return console.status(doing) if console.is_terminal else nullcontext()


@contextmanager
def transfer(doing: str) -> Iterator[Callable[[int, int | None], None]]:
    """Shows a transfer on a terminal; yields the function that takes bytes so far and in total."""
    console = Console(stderr=True)
    columns = TextColumn(doing), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Bar(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
