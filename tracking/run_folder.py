"""Run folder: paths, status and lock of one run."""

import hashlib
import json
import logging
import os
import shutil
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.errors import UserError
from core.files import DamagedFileError, read_json, remove_leftovers, write_text_atomically

log = logging.getLogger(__name__)
RERUN = "delete it, and the run's command"  # "the run's", as a message may concern many runs
HINTS = {  # how to repair a damaged file
    "status.json": f"{RERUN} goes on from the last checkpoint",
    "summary.json": f"{RERUN} makes it again from metrics.jsonl",
    "cost.json": f"{RERUN} counts time from here",
    "plan.json": f"{RERUN} writes it again",
    "environment.json": f"{RERUN} writes it again",
    "overrides.json": "delete it; tables then find the run's command from config.yaml",
}
RESTORE = "put it back, or give the run's command again with force=true"
LOCK_TIMEOUT = 0.2  # seconds; a process that reads `lock_owner` holds the lock for a moment
CHECKED_FILES = ("config.yaml", "metrics.jsonl", "summary.json")  # sources of reported numbers


class RunLockedError(UserError):
    """Another process is writing this run."""

    exit_code = 75  # of sysexits.h: try again later


class RunFolder:
    """Run folder `runs/<dataset>/<group>/seed<k>/`: paths of its files, status and lock.

        config.yaml       the resolved configuration
        overrides.json    the overrides of its command line, without those of a machine or user
        status.json       running, finished, interrupted or failed, with the traceback; for a
                          finished run also checksums of the files with its numbers
        metrics.jsonl     all records, one per line
        summary.json      the last, selected and oracle readings
        environment.json  commit, versions, hardware
        output.log        what the processes of a sweep printed
        warnings.log      warnings of libraries
        traceback.txt     traceback of the last unexpected error
        plan.json         the training schedule, in optimizer steps
        init_from.json    where its initial weights came from, and their checksum
        data.json         the files that its data were read from, and their state
        table.csv.gz      its data: path, label, split, roles, category and size of each image
        cost.json         time and memory so far, over all processes that wrote the run
        checkpoints/      last, previous, and the best of each storage metric
        embeddings/       those of evaluations, where a hook exports them
        wandb/, tensorboard/, comet/, mlflow.json    of the trackers

    Files are written atomically. A lock prevents two processes from writing one run. The system
    releases it when its process ends, even if a forked worker continues.

    Args:
        path: the folder.
        data_root: the data folder of the run on this machine; None compares no data.

    Attributes:
        failure: the error of the previous attempt, if a resumed run had failed; else empty.
    """

    def __init__(self, path: Path, data_root: Path | None = None) -> None:
        self.path, self.data_root, self.failure = path, data_root, ""
        self.config, self.status = path / "config.yaml", path / "status.json"
        self.overrides, self.lock = path / "overrides.json", path / ".lock"
        self.metrics, self.summary = path / "metrics.jsonl", path / "summary.json"
        self.environment, self.checkpoints = path / "environment.json", path / "checkpoints"
        self.plan, self.init_from = path / "plan.json", path / "init_from.json"
        self.data, self.table = path / "data.json", path / "table.csv.gz"
        self.cost, self.log = path / "cost.json", path / "output.log"
        self.warnings, self.traceback = path / "warnings.log", path / "traceback.txt"

    @property
    def state(self) -> str:
        """The state: new, running, finished, interrupted, failed, or damaged (unreadable status).

        A killed run is running, but not locked.
        """
        return str(self._read_status().get("state", "new"))

    def error_of(self, pid: int) -> str | None:
        """The error of a process in one line; None if it did not fail or did not write this run."""
        status = self._read_status()
        return str(status["error"]) if status.get("pid") == pid and "error" in status else None

    def written_by(self, pid: int) -> bool:
        """Whether the process was the last to write this run."""
        return self._read_status().get("pid") == pid

    @property
    def finished(self) -> bool:
        """Whether the run has finished and has a summary."""
        return self.state == "finished" and self.summary.exists()

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint from which the run can go on."""
        return any((self.checkpoints / name).exists() for name in ("last.pt", "previous.pt"))

    @property
    def lock_owner(self) -> str | None:
        """The process that writes this run, `process <pid> on <host>`; None if there is none."""
        if not self.lock.exists():
            return None
        try:
            with FileLock(self.lock, timeout=0):
                return None
        except Timeout:
            return self.lock.read_text(errors="replace")

    def read_json(self, path: Path) -> dict[str, Any]:
        """The content of a JSON file of this run; empty if the file is missing.

        Raises:
            DamagedFileError: the file is damaged; says how to repair it.
        """
        return read_json(path, HINTS.get(path.name, RESTORE)) if path.exists() else {}

    def verify(self, path: Path) -> None:
        """Compare a file of a finished run with its checksum in `status.json`.

        Raises:
            DamagedFileError: the file is not what the run wrote.
        """
        checksums = self._read_status().get("checksums")
        expected = checksums.get(path.name) if isinstance(checksums, dict) else None
        if expected is not None and (not path.is_file() or expected != checksum(path)):
            hint = HINTS.get(path.name, RESTORE)
            raise DamagedFileError(f"{path} is not what the run wrote; {hint}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run for this process, and remove temporary files of killed processes.

        Raises:
            RunLockedError: another process has locked the run; names the process.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(self.lock).acquire(
                timeout=LOCK_TIMEOUT, poll_interval=LOCK_TIMEOUT / 20
            )
        except Timeout:
            owner = self.lock.read_text(errors="replace")
            raise RunLockedError(f"{self.path} is being written by {owner}") from None
        with lock:
            self.lock.write_text(f"process {os.getpid()} on {socket.gethostname()}")
            for folder in (self.path, self.checkpoints):
                remove_leftovers(folder)
            yield

    @contextmanager
    def running(self, explain: Callable[[BaseException], str] = str) -> Iterator[None]:
        """Set the status to `running` inside the block, then to `finished`.

        After an exception it is `failed`, with the traceback; after Ctrl-C, SIGTERM or SIGHUP it is
        `interrupted`.

        Args:
            explain: returns the message of an exception in one line, as on the terminal.
        """
        started = time.time()
        self.traceback.unlink(missing_ok=True)
        status = self._read_status()
        if status.get("state") == "damaged":
            log.warning("%s is damaged; the run goes on from its last checkpoint", self.status)
        self.failure = str(status.get("error", ""))
        self._write_status("running", started)
        try:
            yield
        except KeyboardInterrupt:
            with suppress(UserError):
                self._write_status("interrupted", started)
            raise
        except BaseException as error:
            trace = traceback.format_exc()
            with suppress(UserError):  # such as a full disk; the first error is raised
                line = _one_line(error, explain)
                self._write_status("failed", started, error=line, traceback=trace)
            raise
        checked = [self.path / name for name in CHECKED_FILES]
        checksums = {path.name: checksum(path) for path in checked if path.exists()}
        self._write_status("finished", started, checksums=checksums)

    def clear(self) -> None:
        """Remove all files of an earlier run except the lock and `output.log`."""
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name not in (".lock", "output.log"):
                entry.unlink()

    def write_json(self, path: Path, content: Mapping[str, Any]) -> None:
        """Write a JSON file of this run atomically."""
        write_text_atomically(path, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def _read_status(self) -> dict[str, Any]:
        try:
            return self.read_json(self.status)
        except DamagedFileError:
            return {"state": "damaged"}

    def _write_status(self, state: str, started: float, **details: object) -> None:
        seconds = round(max(0.0, time.time() - started), 1)  # the clock may be set back
        status = {"state": state, "started": started, "seconds": seconds, "pid": os.getpid()}
        self.write_json(self.status, status | details)


def _one_line(error: BaseException, explain: Callable[[BaseException], str]) -> str:
    return " ".join(f"{type(error).__name__}: {explain(error)}".split())


def checksum(path: Path) -> str:
    """SHA-256 of the bytes of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
