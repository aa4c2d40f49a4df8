"""Interruption: Ctrl-C, SIGTERM and SIGHUP raise one exception, so that a process can clean up."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# handlers that are replaced; an ignored signal, as under nohup, stays ignored
DEFAULT: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}


class Interrupted(KeyboardInterrupt):
    """Interrupted: a signal asks this process to end.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number  # as a shell reports a process that a signal ended


def catch_signals() -> list[signal.Signals]:
    """Make the signals raise `Interrupted` in the main thread; returns those that do.

    A signal that is ignored, or handled by another library such as submitit, is left unchanged.
    """
    if threading.current_thread() is not threading.main_thread():
        return []
    caught = [number for number, usual in DEFAULT.items() if signal.getsignal(number) is usual]
    for number in caught:
        signal.signal(number, _interrupt)
    return caught


@contextmanager
def interruptible() -> Iterator[None]:
    """Catch the signals in a `with` block."""
    caught = catch_signals()
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, DEFAULT[number])


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    # the workers of a loader may end by the same signal, which torch would report as an error
    signal.signal(signal.SIGCHLD, _ignore)
    raise Interrupted(number)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Like SIG_IGN, except that the process can still wait for its children."""


def _leave_to_parent() -> None:
    """Reset the signals in a forked process, such as a loader's worker, which its parent ends."""
    for number in DEFAULT:
        if signal.getsignal(number) is _interrupt:
            mute = number is signal.SIGINT
            signal.signal(number, signal.SIG_IGN if mute else signal.SIG_DFL)


os.register_at_fork(after_in_child=_leave_to_parent)
