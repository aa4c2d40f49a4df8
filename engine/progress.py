"""Progress of long work: a bar in a terminal, else a line at most once a minute."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
    track,
)
from rich.progress import Progress as Bar

from core.exit_message import discard_stdout, say
from engine.config.settings import Progress

Item = TypeVar("Item")
INTERVAL = 60  # seconds between two lines


def in_terminal() -> bool:
    """Whether both outputs of this process are a terminal that can redraw a line."""
    console = Console(stderr=True)
    return sys.stdout.isatty() and sys.stderr.isatty() and not console.is_dumb_terminal


def print_line(line: str) -> None:
    """Print a line on standard output at once; an output that nobody reads is no error."""
    try:
        print(line, flush=True)  # noqa: T201
    except BrokenPipeError:
        discard_stdout()
    except OSError:  # such as a full disk under a log file
        return


def progress_bar(
    items: Iterable[Item], total: int, description: str, progress: Progress = "auto"
) -> Iterable[Item]:
    """Iterate over items and show on standard error how many are done.

    Args:
        progress: `bar`, `lines` or `none`; `auto` is a bar if standard error is a terminal.
    """
    console = Console(stderr=True, force_terminal=True if progress == "bar" else None)
    if progress == "lines" or (progress == "auto" and not console.is_terminal):
        return progress_lines(items, total, description)
    return track(items, description, total, console=console, disable=progress == "none")


def progress_lines(
    items: Iterable[Item],
    total: int,
    description: str,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Iterate over items; at most once a minute a line says how many are done."""
    due = clock() + INTERVAL
    for number, item in enumerate(items, start=1):
        yield item
        if clock() >= due:
            say(f"{description}: {number:,} of {total:,}")
            due = clock() + INTERVAL


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
