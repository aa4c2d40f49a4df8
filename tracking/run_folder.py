"""The folder of one run: the truth about it, whatever else shows it."""

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
AGAIN = "delete it, and the run's command"  # names the run, too, for whoever looks at many
ADVICE = {  # what to do about a damaged file
    "status.json": f"{AGAIN} goes on from the last checkpoint",
    "summary.json": f"{AGAIN} makes it again from metrics.jsonl",
    "cost.json": f"{AGAIN} counts time from here",
    "plan.json": f"{AGAIN} writes it again",
    "environment.json": f"{AGAIN} writes it again",
    "overrides.json": "delete it; tables then find the run's command from config.yaml",
}
RESTORE = "put it back, or give the run's command again with force=true"
LOOK = 0.2  # seconds to wait for the lock, which a process that reads `holder` has for an instant
CHECKED = ("config.yaml", "metrics.jsonl", "summary.json")  # what numbers are read from


class RunLockedError(UserError):
    """Another process is writing this run."""

    exit_code = 75  # of sysexits.h: try again later


class RunFolder:
    """`runs/<dataset>/<group>/seed<k>/`

        config.yaml       the resolved configuration
        overrides.json    the overrides that made it, without those of a machine or user
        status.json       running, finished, interrupted or failed, with the traceback; of a
                          finished run also checksums of the files that its numbers are read from
        metrics.jsonl     every record, one per line
        summary.json      the last, selected and oracle readings
        environment.json  commit, versions, hardware
        output.log        what the processes of a sweep printed
        warnings.log      what libraries warned of
        traceback.txt     of the last error, if nobody foresaw it
        plan.json         its length and rhythm, in optimizer steps
        data.json         of what files its data were read, and how these looked
        table.csv.gz      its data: path, label, split, roles, category and size of each image
        cost.json         time and memory so far, over all processes that wrote the run
        checkpoints/      last, previous, and the best of each storage metric

    Every file is written whole or not at all. A lock keeps two processes from writing one run. The
    system releases it when its process dies, even if a worker that was forked outlives it.

    Args:
        path: the folder.
        data_root: the folder of the data that the run would read now, if it is to be compared.

    Attributes:
        failure: of a run that was resumed, why it had failed, if it had.
    """

    def __init__(self, path: Path, data_root: Path | None = None) -> None:
        self.path, self.data_root, self.failure = path, data_root, ""
        self.config, self.status = path / "config.yaml", path / "status.json"
        self.overrides, self.lock = path / "overrides.json", path / ".lock"
        self.metrics, self.summary = path / "metrics.jsonl", path / "summary.json"
        self.environment, self.checkpoints = path / "environment.json", path / "checkpoints"
        self.plan = path / "plan.json"
        self.data, self.table = path / "data.json", path / "table.csv.gz"
        self.cost, self.log = path / "cost.json", path / "output.log"
        self.warnings, self.traceback = path / "warnings.log", path / "traceback.txt"

    @property
    def state(self) -> str:
        """new, running, finished, interrupted, failed, or damaged: the status cannot be read.

        A killed run says running, but is not locked.
        """
        return str(self._read_status().get("state", "new"))

    def error_of(self, pid: int) -> str | None:
        """Why the process failed, in one line; None if it did not, or not in this run."""
        status = self._read_status()
        return str(status["error"]) if status.get("pid") == pid and "error" in status else None

    def written_by(self, pid: int) -> bool:
        """Whether the process is the last one that trained this run."""
        return self._read_status().get("pid") == pid

    @property
    def finished(self) -> bool:
        return self.state == "finished" and self.summary.exists()

    @property
    def lock_owner(self) -> str | None:
        """Who writes this run now, `process <pid> on <host>`; None if nobody does."""
        if not self.lock.exists():
            return None
        try:
            with FileLock(self.lock, timeout=0):
                return None
        except Timeout:
            return self.lock.read_text(errors="replace")

    def read_json(self, path: Path) -> dict[str, Any]:
        """A JSON file of this run; empty if it is absent.

        Raises:
            DamagedFileError: names the file and what to do.
        """
        return read_json(path, ADVICE.get(path.name, RESTORE)) if path.exists() else {}

    def verify(self, path: Path) -> None:
        """Compare a file of a finished run with the checksum that the status remembers of it.

        Raises:
            DamagedFileError: the file is not what the run wrote.
        """
        checksums = self._read_status().get("checksums")
        expected = checksums.get(path.name) if isinstance(checksums, dict) else None
        if expected is not None and (not path.is_file() or expected != checksum(path)):
            advice = ADVICE.get(path.name, RESTORE)
            raise DamagedFileError(f"{path} is not what the run wrote; {advice}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process, and remove what one that was killed left half written.

        Raises:
            RunLockedError: another process holds it; names which.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            held = FileLock(self.lock).acquire(timeout=LOOK, poll_interval=LOOK / 20)
        except Timeout:
            owner = self.lock.read_text(errors="replace")
            raise RunLockedError(f"{self.path} is being written by {owner}") from None
        with held:
            self.lock.write_text(f"process {os.getpid()} on {socket.gethostname()}")
            for folder in (self.path, self.checkpoints):
                remove_leftovers(folder)
            yield

    @contextmanager
    def running(self, explain: Callable[[BaseException], str] = str) -> Iterator[None]:
        """Status `running`, then `finished`; `failed` with the traceback if an exception passes.

        `interrupted` after Ctrl-C, SIGTERM or SIGHUP.

        Args:
            explain: says in one line what an exception means, as the terminal does.
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
            with suppress(UserError):  # a full disk: what went wrong first is what matters
                said = _one_line(error, explain)
                self._write_status("failed", started, error=said, traceback=trace)
            raise
        checked = [self.path / name for name in CHECKED]
        checksums = {path.name: checksum(path) for path in checked if path.exists()}
        self._write_status("finished", started, checksums=checksums)

    def clear(self) -> None:
        """Remove what an earlier run left; the lock and what was printed stay."""
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name not in (".lock", "output.log"):
                entry.unlink()

    def write_json(self, path: Path, content: Mapping[str, Any]) -> None:
        write_text_atomically(path, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def _read_status(self) -> dict[str, Any]:
        try:
            return self.read_json(self.status)
        except DamagedFileError:
            return {"state": "damaged"}

    def _write_status(self, state: str, started: float, **details: object) -> None:
        seconds = round(max(0.0, time.time() - started), 1)  # somebody may set the clock back
        status = {"state": state, "started": started, "seconds": seconds, "pid": os.getpid()}
        self.write_json(self.status, status | details)


def _one_line(error: BaseException, explain: Callable[[BaseException], str]) -> str:
    return " ".join(f"{type(error).__name__}: {explain(error)}".split())


def checksum(path: Path) -> str:
    """SHA-256 of the bytes of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
