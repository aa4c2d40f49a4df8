"""Several runs at once, each as soon as there is a place for it."""

import os
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from core.errors import UserError
from core.interruption import interruptible
from sweeps.job import Job, Outcome

POLL = 0.2  # seconds between two looks at the processes
PATIENCE = 10  # seconds that processes may take to stop before they are killed
GpuSlot = str | None  # the GPUs to use; None leaves the choice to the run


class SweepObserver(Protocol):
    """Is told what happens."""

    def ended(self, outcome: Outcome) -> None: ...

    def counts(self, running: int, elsewhere: int, waiting: int) -> None: ...

    def stopping(self, running: int) -> None: ...


class NullObserver:
    """Watches without a word."""

    def ended(self, outcome: Outcome) -> None: ...

    def counts(self, running: int, elsewhere: int, waiting: int) -> None: ...

    def stopping(self, running: int) -> None: ...


def run_all(
    jobs: Sequence[Job],
    gpu_slots: Sequence[GpuSlot] = (None,),
    fail_fast: bool = False,
    watch: SweepObserver | None = None,
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
    pool = Pool(jobs, gpu_slots, watch or NullObserver())
    with interruptible():
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

    def __init__(
        self, jobs: Sequence[Job], gpu_slots: Sequence[GpuSlot], watch: SweepObserver
    ) -> None:
        self.waiting, self.running = deque(jobs), dict[Job, GpuSlot]()
        self.free, self.watch = list(gpu_slots), watch
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
        """Stop what runs, all at once; what has no outcome yet was interrupted or not started."""
        if self.running:
            self.watch.stopping(len(self.running))
        deadline = time.monotonic() + PATIENCE
        try:
            for job in self.running:
                job.terminate()
            while self.running and time.monotonic() < deadline:
                self.reap_stopped()
                time.sleep(POLL / 10 * bool(self.running))
        finally:  # another Ctrl-C must leave none behind
            for job in self.running:
                job.kill()
        self.reap_stopped()
        for job in self.waiting:
            self.outcomes[job] = Outcome(job.folder.path, "not started", reason="stopped")

    def reap_stopped(self) -> None:
        for job in list(self.running):
            outcome = job.poll()
            if outcome is not None:
                del self.running[job]
                done = outcome.state in ("finished", "skipped")  # just before it was stopped
                self.end(job, outcome if done else outcome._replace(state="interrupted", reason=""))


def gpu_slots(jobs: int | str, devices: int = 1) -> list[GpuSlot]:
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
