"""Background calls: functions that a thread calls one after the other, while the caller goes on."""

import time
from collections.abc import Callable
from queue import Queue
from threading import Thread


class BackgroundCalls:
    """Calls functions in their order in a thread; `add` never waits for them.

    After the first error, or a call that takes too long, no function is called any more. The thread
    is a daemon: a call that hangs does not keep the process from ending.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.is_hanging = False
        self._queue: Queue[Callable[[], object]] = Queue()
        self._began: float | None = None  # when the running call began
        self._thread: Thread | None = None

    def add(self, call: Callable[[], object]) -> None:
        """Call a function after all that were added before."""
        if self._thread is None:
            self._thread = Thread(target=self._work, daemon=True)
            self._thread.start()
        self._queue.put(call)

    def failure(self, timeout: float) -> BaseException | None:
        """The first error, or a TimeoutError if a call has run longer than `timeout` seconds."""
        began = self._began
        if began is not None and time.monotonic() - began > timeout:
            self._give_up(timeout)
        return self.error

    def wait(self, timeout: float) -> None:
        """Wait until all calls are done or one has failed, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks and self.error is None:
                if (left := deadline - time.monotonic()) <= 0:
                    self._give_up(timeout)
                else:
                    self._queue.all_tasks_done.wait(left)

    def _give_up(self, timeout: float) -> None:
        if self.error is None:
            self.is_hanging = True
            self.error = TimeoutError(f"no answer within {timeout:g} s")

    def _work(self) -> None:
        while True:
            call = self._queue.get()
            self._began = time.monotonic()
            if self.error is None:
                self._call(call)
            self._began = None
            self._queue.task_done()

    def _call(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            self.error = self.error or error
