"""Status of the runs below a folder, read from their files only."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from core.files import DamagedFileError
from tracking.cost import read_sums
from tracking.metrics_log import parse_record
from tracking.run_folder import RunFolder

STATES = ("finished", "running", "interrupted", "failed", "damaged", "missing")


class Status(NamedTuple):
    """Status of one run.

    Args:
        folder: of the run.
        state: one of `STATES`; `interrupted` runs were stopped and not resumed yet, a file of a
            `damaged` run cannot be read.
        done: fraction of its steps that is done, 0 to 1.
        seconds: duration so far, summed over all its processes.
        note: the process that runs it, the error, or the damaged file and what to do.
    """

    folder: Path
    state: str
    done: float
    seconds: float
    note: str = ""


def runs_below(root: Path) -> list[RunFolder]:
    """Every run that was started, at any depth below `root`, sorted by name."""
    started = {file.parent for name in ("status.json", "output.log") for file in root.rglob(name)}
    return [RunFolder(path) for path in sorted(started) if path.name.startswith("seed")]


def status(folder: RunFolder) -> Status:
    """The status of one run."""
    try:
        state, note = _state(folder)
        seconds = _seconds(folder, state)
        done = 1.0 if state == "finished" else _done(folder)
    except DamagedFileError as error:
        return Status(folder.path, "damaged", 0.0, 0.0, str(error))
    return Status(folder.path, state, done, seconds, note)


def _seconds(folder: RunFolder, state: str) -> float:
    """Duration so far; a running run also counts the time since it last wrote its cost."""
    if not folder.cost.exists():
        return 0.0
    since = time.time() - folder.cost.stat().st_mtime if state == "running" else 0.0
    return read_sums(folder.cost)["seconds"] + max(0.0, since)  # the clock may be set back


def _state(folder: RunFolder) -> tuple[str, str]:
    content = folder.read_json(folder.status)
    if folder.finished:
        folder.verify(folder.summary)
        return "finished", ""
    lock_owner = folder.lock_owner
    if lock_owner is not None:
        return "running", lock_owner
    if folder.state == "failed":
        return "failed", str(content.get("error", ""))
    if folder.state in ("running", "interrupted", "finished"):
        return "interrupted", ""
    if folder.log.exists():  # the process ended before training began
        return "failed", next(iter(folder.log.read_text().split("\n")[-2:]), "")
    return "missing", ""


def _done(folder: RunFolder) -> float:
    total = folder.read_json(folder.plan).get("total_steps", 0)
    return min(1.0, _last_step(folder) / total) if total else 0.0


def _last_step(folder: RunFolder) -> int:
    """The step of the last complete record; another process may be writing the next one."""
    if not folder.metrics.exists():
        return 0
    *lines, _ = folder.metrics.read_bytes().split(b"\n")
    return int(parse_record(lines[-1], folder.metrics, len(lines))["step"]) if lines else 0


def seconds_left(runs: Sequence[Status]) -> float | None:
    """Estimated time until all runs finish, with as many parallel runs as now; None if unknown.

    A run continues at its speed so far. A run that has not begun takes the mean duration of the
    finished runs of its dataset, or of all finished runs.
    """
    left = [_seconds_left(run, runs) for run in runs if run.state != "finished"]
    if None in left:
        return None
    parallel_runs = max(1, sum(run.state == "running" for run in runs))
    return sum(part for part in left if part is not None) / parallel_runs


def _seconds_left(run: Status, runs: Iterable[Status]) -> float | None:
    if run.done > 0 and run.seconds > 0:
        return run.seconds / run.done * (1 - run.done)
    finished = [other for other in runs if other.state == "finished"]
    same_dataset = [other for other in finished if other.folder.parts[-3] == run.folder.parts[-3]]
    return mean(other.seconds for other in same_dataset or finished) if finished else None
