"""What became of the runs below a folder, read from their files alone."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from tracking.contents import Content, Cost, DamagedError, Plan, last_step, read_json
from tracking.contents import Status as StatusFile
from tracking.run_folder import RunFolder

STATES = ("finished", "running", "interrupted", "failed", "damaged", "missing")


class Status(NamedTuple):
    """One run.

    Args:
        folder: of the run.
        state: one of `STATES`; an interrupted run was killed, and nothing has resumed it yet.
        done: the part of its steps that is behind it, 0 to 1.
        seconds: it took so far, over all its processes.
        note: who runs it, why it failed, or which file is damaged.
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
        return _read(folder)
    except DamagedError as error:
        return Status(folder.path, "damaged", 0.0, 0.0, str(error))


def _read(folder: RunFolder) -> Status:
    state, note = _state(folder)
    paid = read_json(folder.cost, Cost)
    seconds = max(0.0, float(paid.get("seconds", 0.0)))  # a clock that was set back took no time
    if state == "running" and paid:
        seconds += max(0.0, time.time() - folder.cost.stat().st_mtime)
    return Status(folder.path, state, 1.0 if state == "finished" else _done(folder), seconds, note)


def _state(folder: RunFolder) -> tuple[str, str]:
    if folder.finished:
        read_json(folder.summary, Content)
        return "finished", ""
    holder = folder.holder
    if holder is not None:
        return "running", holder
    if folder.state == "failed":
        return "failed", str(read_json(folder.status, StatusFile).get("error", ""))
    if folder.state in ("running", "finished"):
        return "interrupted", ""
    if folder.log.exists():  # it ended before it began
        return "failed", next(iter(folder.log.read_text(errors="replace").split("\n")[-2:]), "")
    return "missing", ""


def _done(folder: RunFolder) -> float:
    total = read_json(folder.plan, Plan).get("total_steps", 0)
    return max(0.0, min(1.0, last_step(folder.metrics) / total)) if total > 0 else 0.0


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
