"""Pool of jobs: runs several at once, each as soon as a GPU slot is free."""

import os
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from core.errors import UserError
from core.interruption import interruptible
from sweeps.job import Job, Outcome

POLL = 0.2  # seconds between two polls of the processes
STOP_TIMEOUT = 10  # seconds that processes have to stop before they are killed
GpuSlot = str | None  # the GPUs to use; None leaves the choice to the run


class SweepObserver(Protocol):
    """Observes a sweep, such as to show its progress."""

    def ended(self, outcome: Outcome) -> None: ...

    def counts(self, running: int, locked_by_other: int, waiting: int) -> None: ...

    def stopping(self, running: int) -> None: ...


class NullObserver:
    """Observer that shows nothing."""

    def ended(self, outcome: Outcome) -> None: ...

    def counts(self, running: int, locked_by_other: int, waiting: int) -> None: ...

    def stopping(self, running: int) -> None: ...


def run_all(
    jobs: Sequence[Job],
    gpu_slots: Sequence[GpuSlot] = (None,),
    fail_fast: bool = False,
    observer: SweepObserver | None = None,
) -> list[Outcome]:
    """Run every job that is not finished; returns outcomes in the order of `jobs`.

    A run that another process has locked, such as a job of another sweep, is waited for, and
    resumed if that process leaves it unfinished. Running jobs are stopped when this process is
    stopped, and can be resumed.

    Args:
        gpu_slots: each runs one job at a time.
        fail_fast: whether the first failure stops the other jobs.
        observer: is called when a run ends and when the counts change.
    """
    pool = Pool(jobs, gpu_slots, observer or NullObserver())
    with interruptible():
        try:
            while pool.waiting or pool.running:
                pool.fill()
                pool.poll()
                if fail_fast and pool.failed:
                    break
                time.sleep(POLL * bool(pool.waiting or pool.running))
        finally:
            pool.stop()
    return [pool.outcomes[job] for job in jobs]


class Pool:
    """Waiting jobs, running jobs with their GPU slots, and outcomes."""

    def __init__(
        self, jobs: Sequence[Job], gpu_slots: Sequence[GpuSlot], observer: SweepObserver
    ) -> None:
        self.waiting, self.running = deque(jobs), dict[Job, GpuSlot]()
        self.free_slots, self.observer = list(gpu_slots), observer
        self.outcomes: dict[Job, Outcome] = {}
        self.failed = False

    def fill(self) -> None:
        """Visit every waiting job once, and start those that can be started."""
        locked_by_other, own_folders = 0, {job.folder.path for job in self.running}
        for _ in range(len(self.waiting)):
            job = self.waiting.popleft()
            if job.done_before:
                self.end(job, Outcome(job.folder.path, "skipped"))
            elif job.folder.path in own_folders:  # the same run twice in one sweep
                self.waiting.append(job)
            elif job.folder.lock_owner is not None:
                locked_by_other += 1
                self.waiting.append(job)
            elif self.free_slots:
                slot = self.free_slots.pop(0)
                job.start(slot)
                self.running[job] = slot
                own_folders.add(job.folder.path)
            else:
                self.waiting.append(job)
        self.observer.counts(
            len(self.running), locked_by_other, len(self.waiting) - locked_by_other
        )

    def poll(self) -> None:
        """Record the outcomes of jobs that have ended; a job whose run is locked waits again."""
        for job in list(self.running):
            outcome = job.poll()
            if outcome is None:
                continue
            self.free_slots.append(self.running.pop(job))
            if outcome.state == "failed" and job.refused:
                self.waiting.append(job)
            else:
                self.end(job, outcome)

    def end(self, job: Job, outcome: Outcome) -> None:
        self.outcomes[job] = outcome
        self.failed |= outcome.state == "failed"
        self.observer.ended(outcome)

    def stop(self) -> None:
        """Stop all running jobs together; they end as interrupted, waiting jobs as not started."""
        if self.running:
            self.observer.stopping(len(self.running))
        deadline = time.monotonic() + STOP_TIMEOUT
        try:
            for job in self.running:
                job.terminate()
            while self.running and time.monotonic() < deadline:
                self.poll_stopped()
                time.sleep(POLL / 10 * bool(self.running))
        finally:  # another Ctrl-C leaves no process behind
            for job in self.running:
                job.kill()
        self.poll_stopped()
        for job in self.waiting:
            self.outcomes[job] = Outcome(job.folder.path, "not started", reason="stopped")

    def poll_stopped(self) -> None:
        for job in list(self.running):
            outcome = job.poll()
            if outcome is not None:
                del self.running[job]
                # a job may finish just before it is stopped
                done = outcome.state in ("finished", "skipped")
                self.end(job, outcome if done else outcome._replace(state="interrupted", reason=""))


def gpu_slots(jobs: int | str, devices: int = 1) -> list[GpuSlot]:
    """The GPUs of each parallel job; jobs share GPUs where there are more jobs than GPUs.

    Args:
        jobs: number of parallel jobs; `auto` is one for every `devices` GPUs, or one.
        devices: GPUs of each job.

    Raises:
        UserError: `jobs` is neither `auto` nor a number.
    """
    gpus = _gpus()
    groups = [gpus[first : first + devices] for first in range(0, len(gpus), devices)]
    slots: list[GpuSlot] = [",".join(group) for group in groups if len(group) == devices]
    if jobs == "auto":
        return slots or [None]
    if not isinstance(jobs, int) or jobs < 1:
        raise UserError(f"hydra.launcher.jobs={jobs}: must be auto or a number above 0")
    return [slots[number % len(slots)] if slots else None for number in range(jobs)]


def _gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]
