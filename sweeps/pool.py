"""Several runs at once, each as soon as there is a place for it."""

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

from core.errors import UserError
from sweeps.job import Job, Outcome

POLL = 0.2  # seconds between two looks at the processes
Place = str | None  # the GPUs to use; None leaves the choice to the run


class Watch(Protocol):
    """Is told what happens."""

    def ended(self, outcome: Outcome) -> None: ...

    def counts(self, running: int, elsewhere: int, waiting: int) -> None: ...


class Silent:
    """Watches without a word."""

    def ended(self, outcome: Outcome) -> None: ...

    def counts(self, running: int, elsewhere: int, waiting: int) -> None: ...


def run_all(
    jobs: Sequence[Job],
    places: Sequence[Place] = (None,),
    fail_fast: bool = False,
    watch: Watch | None = None,
) -> list[Outcome]:
    """Run every job that is not finished; outcomes in the order of `jobs`.

    A run that another process is writing, such as a job of another sweep, is waited for, and
    taken over if it is left unfinished. Jobs that run when this process is asked to stop are
    stopped too, and can be resumed.

    Args:
        places: one job at a time in each.
        fail_fast: the first failure stops the others and starts no more.
        watch: is told what happens.
    """
    pool = Pool(jobs, places, watch or Silent())
    with stopped_by_signals():
        try:
            while pool.waiting or pool.running:
                pool.fill()
                pool.reap()
                if fail_fast and pool.failed:
                    break
                time.sleep(POLL * bool(pool.waiting or pool.running))
        finally:
            pool.stop()
    return [pool.outcomes[job] for job in jobs]


class Pool:
    """What waits, what runs where, and what is done."""

    def __init__(self, jobs: Sequence[Job], places: Sequence[Place], watch: Watch) -> None:
        self.waiting, self.running = deque(jobs), dict[Job, Place]()
        self.free, self.watch = list(places), watch
        self.outcomes: dict[Job, Outcome] = {}
        self.failed = False

    def fill(self) -> None:
        """Look at every waiting job once, and start those that can be started."""
        elsewhere, here = 0, {job.folder.path for job in self.running}
        for _ in range(len(self.waiting)):
            job = self.waiting.popleft()
            if job.done_before:
                self.end(job, Outcome(job.folder.path, "skipped"))
            elif job.folder.path in here:  # the same run twice in one sweep
                self.waiting.append(job)
            elif job.folder.holder is not None:
                elsewhere += 1
                self.waiting.append(job)
            elif self.free:
                place = self.free.pop(0)
                job.start(place)
                self.running[job] = place
                here.add(job.folder.path)
            else:
                self.waiting.append(job)
        self.watch.counts(len(self.running), elsewhere, len(self.waiting) - elsewhere)

    def reap(self) -> None:
        for job in list(self.running):
            outcome = job.poll()
            if outcome is None:
                continue
            self.free.append(self.running.pop(job))
            if outcome.state == "failed" and job.refused:
                self.waiting.append(job)
            else:
                self.end(job, outcome)

    def end(self, job: Job, outcome: Outcome) -> None:
        self.outcomes[job] = outcome
        self.failed |= outcome.state == "failed"
        self.watch.ended(outcome)

    def stop(self) -> None:
        """Stop what runs; what has no outcome yet was not started, or not to its end."""
        for job in self.running:
            job.stop()
        for job in [*self.running, *self.waiting]:
            self.outcomes[job] = Outcome(job.folder.path, "not started", reason="stopped")


def places(jobs: int | str, devices: int = 1) -> list[Place]:
    """Where jobs run: `auto` is as many as there are GPUs for, or one; more of them share GPUs.

    Args:
        jobs: at once.
        devices: GPUs of each job.

    Raises:
        UserError: `jobs` is neither `auto` nor a number.
    """
    gpus = _gpus()
    shares = [gpus[first : first + devices] for first in range(0, len(gpus), devices)]
    whole = [",".join(share) for share in shares if len(share) == devices]
    if jobs == "auto":
        return list(whole) or [None]
    if not isinstance(jobs, int) or jobs < 1:
        raise UserError(f"hydra.launcher.jobs={jobs}: must be auto or a number above 0")
    return [whole[place % len(whole)] if whole else None for place in range(jobs)]


def _gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end this process in one line, with time to stop its jobs.

    Not where another program, such as submitit, waits for them itself, nor outside the main thread.
    """

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        sys.exit(128 + number)

    usual: dict[signal.Signals, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    ours = [number for number, handler in usual.items() if signal.getsignal(number) is handler]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, usual[number])
