"""What became of the runs below a folder, read from their files alone."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from core.files import DamagedFileError
from tracking.cost import paid
from tracking.metrics_log import record_in
from tracking.run_folder import RunFolder

STATES = ("finished", "running", "interrupted", "failed", "damaged", "missing")


class Status(NamedTuple):
    """One run.

    Args:
        folder: of the run.
        state: one of `STATES`; an interrupted run was stopped, and nothing has resumed it yet; of
            a damaged one a file cannot be read.
        done: the part of its steps that is behind it, 0 to 1.
        seconds: it took so far, over all its processes.
        note: who runs it, why it failed, or which file is damaged and what to do.
    """

    folder: Path
    state: str
    done: float
    seconds: float
    note: str = ""


def runs_below(root: Path) -> list[RunFolder]:
    """Every run that was ever started at any depth below `root`, in the order of their names."""
    started = {file.parent for name in ("status.json", "output.log") for file in root.rglob(name)}
    return [RunFolder(path) for path in sorted(started) if path.name.startswith("seed")]


def status(folder: RunFolder) -> Status:
    try:
        state, note = _state(folder)
        seconds = _seconds(folder, state)
        done = 1.0 if state == "finished" else _done(folder)
    except DamagedFileError as error:
        return Status(folder.path, "damaged", 0.0, 0.0, str(error))
    return Status(folder.path, state, done, seconds, note)


def _seconds(folder: RunFolder, state: str) -> float:
    """So far; of a run that is running also those since it last said so."""
    if not folder.cost.exists():
        return 0.0
    since = time.time() - folder.cost.stat().st_mtime if state == "running" else 0.0
    return paid(folder.cost)["seconds"] + max(0.0, since)  # somebody may set the clock back


def _state(folder: RunFolder) -> tuple[str, str]:
    content = folder.read_json(folder.status)
    if folder.finished:
        folder.verify(folder.summary)
        return "finished", ""
    holder = folder.holder
    if holder is not None:
        return "running", holder
    if folder.state == "failed":
        return "failed", str(content.get("error", ""))
    if folder.state in ("running", "interrupted", "finished"):
        return "interrupted", ""
    if folder.log.exists():  # it ended before it began
        return "failed", next(iter(folder.log.read_text().split("\n")[-2:]), "")
    return "missing", ""


def _done(folder: RunFolder) -> float:
    total = folder.read_json(folder.plan).get("total_steps", 0)
    return min(1.0, _last_step(folder) / total) if total else 0.0


def _last_step(folder: RunFolder) -> int:
    """Of the last whole record; another process may be writing the next one."""
    if not folder.metrics.exists():
        return 0
    *lines, _ = folder.metrics.read_bytes().split(b"\n")
    return int(record_in(lines[-1], folder.metrics, len(lines))["step"]) if lines else 0


def seconds_left(runs: Sequence[Status]) -> float | None:
    """An estimate for all of them, with as many at once as run now; None before any is known.

    A run goes on as fast as it went; one that has done nothing takes what a finished run of the
    same dataset takes, or else any of them.
    """
    left = [_left(run, runs) for run in runs if run.state != "finished"]
    if None in left:
        return None
    at_once = max(1, sum(run.state == "running" for run in runs))
    return sum(part for part in left if part is not None) / at_once


def _left(run: Status, runs: Iterable[Status]) -> float | None:
    if run.done > 0 and run.seconds > 0:
        return run.seconds / run.done * (1 - run.done)
    finished = [other for other in runs if other.state == "finished"]
    alike = [other for other in finished if other.folder.parts[-3] == run.folder.parts[-3]]
    return mean(other.seconds for other in alike or finished) if finished else None
