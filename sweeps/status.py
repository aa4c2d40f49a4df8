"""What became of the runs below a folder, read from their files alone."""

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from tracking.run_folder import RunFolder

STATES = ("finished", "running", "interrupted", "failed", "missing")


class Status(NamedTuple):
    """One run.

    Args:
        folder: of the run.
        state: one of `STATES`; an interrupted run was stopped, and nothing has resumed it yet.
        done: the part of its steps that is behind it, 0 to 1.
        seconds: it took so far, over all its processes.
        note: who runs it, or why it failed.
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
    state, note = _state(folder)
    paid = _json(folder.cost)
    seconds = float(paid.get("seconds", 0.0))
    if state == "running" and paid:
        seconds += time.time() - folder.cost.stat().st_mtime
    return Status(folder.path, state, 1.0 if state == "finished" else _done(folder), seconds, note)


def _state(folder: RunFolder) -> tuple[str, str]:
    if folder.finished:
        return "finished", ""
    holder = folder.holder
    if holder is not None:
        return "running", holder
    if folder.state == "failed":
        return "failed", str(_json(folder.status).get("error", ""))
    if folder.state in ("running", "interrupted", "finished"):
        return "interrupted", ""
    if folder.log.exists():  # it ended before it began
        return "failed", next(iter(folder.log.read_text().split("\n")[-2:]), "")
    return "missing", ""


def _done(folder: RunFolder) -> float:
    total = _json(folder.plan).get("total_steps", 0)
    return min(1.0, _last_step(folder) / total) if total else 0.0


def _last_step(folder: RunFolder) -> int:
    """Of the last whole record; another process may be writing the next one."""
    if not folder.metrics.exists():
        return 0
    *lines, _ = folder.metrics.read_bytes().split(b"\n")
    return int(json.loads(lines[-1])["step"]) if lines else 0


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return content


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
