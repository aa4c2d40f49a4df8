"""Ctrl-C, SIGTERM and a lost terminal as one exception, so that a process ends in order."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# handlers that may be replaced; an ignored signal, as under nohup, stays ignored
DEFAULT: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number  # what a shell reports of a process that a signal ends


def catch_signals() -> list[signal.Signals]:
    """From now on these signals raise `Interrupted` in the main thread; returns those caught.

    A signal that is ignored, or that another program such as submitit handles, is left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        return []
    caught = [number for number, usual in DEFAULT.items() if signal.getsignal(number) is usual]
    for number in caught:
        signal.signal(number, _interrupt)
    return caught


@contextmanager
def interruptible() -> Iterator[None]:
    """Catch the signals for a while."""
    caught = catch_signals()
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, DEFAULT[number])


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    # the workers of a loader may end by the same signal, which torch would call an error
    signal.signal(signal.SIGCHLD, _ignore)
    raise Interrupted(number)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Like SIG_IGN, but children can still be waited for."""


def _leave_to_parent() -> None:
    """A forked process, such as a worker of a loader, is ended by its parent, not by Ctrl-C."""
    for number in DEFAULT:
        if signal.getsignal(number) is _interrupt:
            mute = number is signal.SIGINT
            signal.signal(number, signal.SIG_IGN if mute else signal.SIG_DFL)


os.register_at_fork(after_in_child=_leave_to_parent)
