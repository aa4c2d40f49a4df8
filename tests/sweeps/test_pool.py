"""The pool with a small program in the place of main.py, which needs no seconds to start."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

import sweeps.job
from core.errors import UserError
from sweeps.job import Job, Outcome
from sweeps.pool import NullObserver, gpu_slots, run_all
from tracking.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tracking.run_folder import RunFolder, RunLockedError
folder = RunFolder(Path(sys.argv[1]))

def trace(what):
    with (folder.path / "trace").open("a") as file:
        file.write(f"{{time.time()}} {{what}}\\n")

try:
    with folder.locked():
        if not folder.finished or "force" in sys.argv:
            with folder.running():
                trace(os.environ.get("CUDA_VISIBLE_DEVICES"))
                for action in sys.argv[2:]:
                    exec(action.replace("force", "pass"))
                trace("end")
                folder.write_json(folder.summary, {{}})
except RunLockedError as error:
    sys.stderr.write(f"{{error}}\\n")
    time.sleep(float(os.environ.get("SLOW_TO_GO", 0)))
    sys.exit(error.exit_code)
"""
NewJob = Callable[..., Job]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.format(root=str(ROOT)))
    return path


@pytest.fixture
def job(tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> NewJob:
    """`job("a", "time.sleep(1)")` is a run named a that sleeps."""
    monkeypatch.setattr(sweeps.job, "MAIN", program)

    def new(name: str, *actions: str, force: bool = False) -> Job:
        folder = RunFolder(tmp_path / "digits" / name / "seed0")
        return Job([str(folder.path), *actions], folder, force)

    return new


def trace(job: Job) -> list[str]:
    """What processes of this run wrote: one line at the start, one at the end."""
    path = job.folder.path / "trace"
    return path.read_text().splitlines() if path.exists() else []


def summary(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.state, outcome.reason) for outcome in outcomes]


def test_what_fails_leaves_the_others_alone_and_is_tried_again(job: NewJob) -> None:
    jobs = [job("a"), job("b", "1 / 0"), job("c", "os.kill(os.getpid(), 9)"), job("d")]
    assert summary(run_all(jobs)) == [
        ("finished", ""),
        ("failed", "ZeroDivisionError: division by zero"),
        ("failed", "killed by SIGKILL (out of memory?)"),
        ("finished", ""),
    ]
    again = [job("a"), job("b"), job("c"), job("d")]
    states = [state for state, _ in summary(run_all(again))]
    assert states == ["skipped", "finished", "finished", "skipped"]
    assert len(trace(jobs[0])) == 2


def test_a_finished_run_starts_no_process_unless_forced(job: NewJob) -> None:
    assert summary(run_all([job("a")])) == [("finished", "")]
    assert summary(run_all([job("a", "1 / 0")])) == [("skipped", "")]
    assert summary(run_all([job("a", "force", force=True)])) == [("finished", "")]
    assert len(trace(job("a"))) == 4


def test_failing_fast_stops_what_runs_and_starts_no_more(job: NewJob) -> None:
    first = job("a", "time.sleep(60)")
    begun = f"while not Path({str(first.folder.path / 'trace')!r}).exists(): time.sleep(0.02)"
    jobs = [first, job("b", begun, "1 / 0"), job("c")]
    start = time.monotonic()
    outcomes = run_all(jobs, gpu_slots=(None, None), fail_fast=True)
    assert time.monotonic() - start < 30
    assert [outcome.state for outcome in outcomes] == ["interrupted", "failed", "not started"]
    assert jobs[0].folder.state == "running"  # what a program that catches no signal leaves
    assert jobs[0].folder.lock_owner is None
    assert trace(jobs[2]) == []


def test_each_place_has_its_gpu_and_one_job_at_a_time(job: NewJob) -> None:
    jobs = [job(name, "time.sleep(0.3)") for name in "abcdef"]
    run_all(jobs, gpu_slots=("0", "1"))
    spans: dict[str, list[tuple[float, float]]] = {"0": [], "1": []}
    for one in jobs:
        (first, gpu), (last, _) = (line.split() for line in trace(one))
        spans[gpu].append((float(first), float(last)))
    assert all(spans.values())
    for runs in spans.values():
        runs.sort()
        assert all(one[1] <= other[0] for one, other in pairwise(runs))


def test_the_same_run_twice_is_run_once(job: NewJob) -> None:
    outcomes = run_all([job("a", "time.sleep(0.5)"), job("a")], gpu_slots=(None, None))
    assert sorted(outcome.state for outcome in outcomes) == ["finished", "skipped"]
    assert len(trace(job("a"))) == 2


@pytest.mark.parametrize("dies", [False, True])
def test_a_run_of_somebody_else_is_waited_for_or_taken_over(
    job: NewJob, program: Path, dies: bool
) -> None:
    theirs = job("a")
    actions = ["time.sleep(2)", *["os.kill(os.getpid(), 9)"] * dies]
    with subprocess.Popen([sys.executable, str(program), str(theirs.folder.path), *actions]):
        while theirs.folder.lock_owner is None:
            time.sleep(0.02)
        outcomes = run_all([job("a"), job("b")])
    assert [outcome.state for outcome in outcomes] == [
        "finished" if dies else "skipped",
        "finished",
    ]
    assert len(trace(theirs)) == (3 if dies else 2)


def test_a_run_that_another_sweep_ends_while_ours_starts_is_skipped(job: NewJob) -> None:
    ours = job("a")
    with ours.folder.locked(), ours.folder.running():
        ours.folder.write_json(ours.folder.summary, {})
    ours.start(None)
    while (outcome := ours.poll()) is None:
        time.sleep(0.02)
    assert outcome.state == "skipped"
    assert trace(ours) == []


class Release(NullObserver):
    """Lets the other process finish its run as soon as ours has been refused."""

    def __init__(self, refused: Path, go: Path) -> None:
        self.refused, self.go = refused, go

    def counts(self, running: int, locked_by_other: int, waiting: int) -> None:  # noqa: ARG002
        if self.refused.exists() and "being written by" in self.refused.read_text():
            self.go.touch()


@pytest.mark.parametrize("slow", [0, 2])
def test_a_process_that_lost_the_race_for_the_lock_is_no_failure(
    job: NewJob, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: int
) -> None:
    """Not even if it takes so long to leave that the other one has finished the run."""
    ours, go = job("a"), tmp_path / "go"
    wait = f"while not Path({str(go)!r}).exists(): time.sleep(0.02)"
    with subprocess.Popen([sys.executable, str(program), str(ours.folder.path), wait]):
        while ours.folder.lock_owner is None:
            time.sleep(0.02)
        looks = iter([None])  # our first look is just too early
        real = RunFolder.lock_owner.fget
        assert real is not None
        monkeypatch.setattr(RunFolder, "lock_owner", property(lambda f: next(looks, real(f))))
        monkeypatch.setenv("SLOW_TO_GO", str(slow))
        outcomes = run_all([ours], observer=Release(ours.folder.log, go))
    assert summary(outcomes) == [("skipped", "")]
    assert len(trace(ours)) == 2


STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
SWEEP = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have ignored it
import sweeps.job, sweeps.pool
from engine.config.error_line import user_errors_as_one_line
from sweeps.progress import SweepProgress
from tracking.run_folder import RunFolder
sweeps.job.MAIN, sweeps.pool.STOP_TIMEOUT, *jobs = eval(sys.argv[1])
with user_errors_as_one_line(), SweepProgress(len(jobs), 2) as observer:
    jobs = [sweeps.job.Job(job, RunFolder(Path(job[0]))) for job in jobs]
    sweeps.pool.run_all(jobs, (None, None), observer=observer)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_says_so_at_once_and_stops_all_its_jobs_together(
    job: NewJob, program: Path, number: signal.Signals
) -> None:
    """Somebody presses Ctrl-C while two runs of three go on, neither of which ends by itself."""
    jobs = [job("a", "time.sleep(60)"), job("b", STUBBORN), job("c")]
    told = repr([str(program), 2, *(one.arguments for one in jobs)])
    command = [sys.executable, "-c", SWEEP, told]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as sweep:
        assert sweep.stderr is not None
        while not (trace(jobs[0]) and trace(jobs[1])):
            time.sleep(0.02)
        time.sleep(0.1)  # until the second one ignores the signal
        sweep.send_signal(number)
        first = sweep.stderr.readline()
        alive = jobs[1].folder.lock_owner
        *ended, last = sweep.stderr.read().splitlines()
        assert sweep.wait(30) == 128 + number
    assert first == "stopping 2 runs, which can be resumed\n"
    assert alive is not None, "said before they are stopped"
    assert [line.split()[1] for line in ended] == ["interrupted", "interrupted"]
    assert last.startswith("interrupted; to go on: ")
    assert [one.folder.lock_owner for one in jobs] == [None, None, None]
    assert [len(trace(one)) for one in jobs] == [1, 1, 0]


def test_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert gpu_slots("auto") == ["3", "5"]
    assert gpu_slots(4) == ["3", "5", "3", "5"]
    assert gpu_slots("auto", devices=2) == ["3,5"]
    assert gpu_slots(2, devices=2) == ["3,5", "3,5"]
    assert gpu_slots("auto", devices=3) == [None], "the run says what it misses"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_slots("auto") == [None]
    assert gpu_slots(2) == [None, None]
    for wrong in (0, "all"):
        with pytest.raises(UserError, match=r"hydra\.launcher\.jobs"):
            gpu_slots(wrong)


def test_the_log_of_earlier_processes_is_kept(job: NewJob) -> None:
    for number in range(2):
        run_all([job("a", f"print('attempt {number}'); 1 / 0")])
    said = job("a").folder.log.read_text()
    assert said.index("attempt 0") < said.index("attempt 1")
