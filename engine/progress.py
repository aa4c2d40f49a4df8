"""Progress bars: what is done, how fast, time left; nothing at all where nobody watches."""

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
    """Shows the steps of a run on a terminal, on standard error; silent anywhere else."""

    def __init__(self, total_steps: int, done: int) -> None:
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
        self.task = self.bar.add_task("training", total=total_steps, completed=done, loss=0, rate=0)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def advance(self, step: int) -> None:
        self.bar.update(self.task, completed=step)

    def show(self, train: Mapping[str, float]) -> None:
        rate = train["train/images_per_second"]
        self.bar.update(self.task, loss=train["train/loss"], rate=rate)


def watched(items: Iterable[Item], total: int, doing: str) -> Iterable[Item]:
    """The items, with a bar that says how many of them are done, on a terminal only."""
    console = Console(stderr=True)
    return track(items, doing, total, console=console, disable=not console.is_terminal)


def busy(doing: str) -> AbstractContextManager[object]:
    """A sign of life during one long step, on a terminal only."""
    console = Console(stderr=True)
    return console.status(doing) if console.is_terminal else nullcontext()


@contextmanager
def transfer(doing: str) -> Iterator[Callable[[int, int | None], None]]:
    """Shows a transfer on a terminal; yields what to tell the bytes that are there, and in all."""
    console = Console(stderr=True)
    columns = TextColumn(doing), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Bar(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
