"""The folder of one run: the truth about it, whatever else shows it."""

import fcntl
import json
import os
import shutil
import socket
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from core.errors import UserError
from core.files import write_text_atomically


class RunLockedError(UserError):
    """Another process is writing this run."""

    exit_code = 75  # of sysexits.h: try again later


class RunFolder:
    """`runs/<dataset>/<group>/seed<k>/`

        config.yaml       the resolved configuration
        status.json       running, finished, interrupted or failed, with the traceback
        metrics.jsonl     every record, one per line
        summary.json      the last, selected and oracle readings
        environment.json  commit, versions, hardware
        output.log        what the processes of a sweep printed
        warnings.log      what libraries warned of
        traceback.txt     of the last error, if nobody foresaw it
        plan.json         its length and rhythm, in optimizer steps
        cost.json         time and memory so far, over all processes that wrote the run
        checkpoints/      last, previous, and the best of each storage metric

    Every file is whole or absent. A lock, which the system releases when its process dies, keeps
    two processes from writing one run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.status = path / "config.yaml", path / "status.json"
        self.metrics, self.summary = path / "metrics.jsonl", path / "summary.json"
        self.environment, self.checkpoints = path / "environment.json", path / "checkpoints"
        self.plan = path / "plan.json"
        self.cost, self.log = path / "cost.json", path / "output.log"
        self.warnings, self.traceback = path / "warnings.log", path / "traceback.txt"

    @property
    def state(self) -> str:
        """new, running, finished, interrupted or failed; a killed one says running, not locked."""
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
    def holder(self) -> str | None:
        """Who writes this run now, `process <pid> on <host>`; None if nobody does."""
        lock = self.path / ".lock"
        if not lock.exists():
            return None
        with lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                return file.read()
        return None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process.

        Raises:
            RunLockedError: another process holds it; names which.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("a+") as file:
            if not _acquired(file):
                file.seek(0)
                raise RunLockedError(f"{self.path} is being written by {file.read()}")
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            _held.add(file)
            try:
                yield
            finally:
                _held.discard(file)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Status `running`, then `finished`; `failed` with the traceback if an exception passes.

        `interrupted` after Ctrl-C, SIGTERM or SIGHUP.
        """
        started = time.time()
        self.traceback.unlink(missing_ok=True)
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
                self._write_status("failed", started, error=_one_line(error), traceback=trace)
            raise
        self._write_status("finished", started)

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
        content: dict[str, Any] = (
            json.loads(self.status.read_text()) if self.status.exists() else {}
        )
        return content

    def _write_status(self, state: str, started: float, **details: str) -> None:
        seconds = round(time.time() - started, 1)
        status = {"state": state, "started": started, "seconds": seconds, "pid": os.getpid()}
        self.write_json(self.status, status | details)


_held: set[IO[str]] = set()  # locks of this process


def _let_go() -> None:
    """A loader's worker outlives a killed run for seconds, and must not keep it meanwhile."""
    for lock in _held:
        lock.close()


os.register_at_fork(after_in_child=_let_go)


def _acquired(file: IO[str]) -> bool:
    """Try for a moment: whoever only looks at the lock, as `holder`, has it for an instant."""
    for _ in range(20):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return True
    return False


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
