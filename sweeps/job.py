"""One run of a sweep, in a process of its own: whatever happens to it, the others go on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from tracking.run_folder import RunFolder, RunLockedError
from tracking.sources import same_files

MAIN = Path(__file__).parent.parent / "main.py"
PATIENCE = 10  # seconds a process may take to stop before it is killed


class Outcome(NamedTuple):
    """How a run ended.

    Args:
        folder: of the run.
        state: `finished`; `skipped`, another process finished it; `failed`; `not started`.
        seconds: of this process; 0 without one.
        reason: of a failure, in one line.
    """

    folder: Path
    state: Literal["finished", "skipped", "failed", "not started"]
    seconds: float = 0.0
    reason: str = ""


class Job:
    """`python main.py <overrides>`; what it prints is appended to `output.log` of its run.

    Args:
        overrides: of the run.
        folder: of the run.
        force: run it again even if it is finished.
    """

    def __init__(self, overrides: Sequence[str], folder: RunFolder, force: bool = False) -> None:
        self.overrides, self.folder, self.force = list(overrides), folder, force
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.log_start = 0

    @property
    def done_before(self) -> bool:
        return self.folder.finished and not self.force and same_files(self.folder)

    def start(self, gpus: str | None) -> None:
        """On these GPUs alone, such as `0` or `0,1`; None leaves the choice to the run."""
        self.folder.path.mkdir(parents=True, exist_ok=True)
        chosen = {} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus}
        self.started = time.monotonic()
        with self.folder.log.open("ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, str(MAIN), *self.overrides],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **chosen},
                start_new_session=True,  # Ctrl-C reaches the sweep, which stops its jobs itself
            )

    def poll(self) -> Outcome | None:
        """How it ended, or None while it runs."""
        assert self.process is not None
        code = self.process.poll()
        if code is None:
            return None
        seconds = time.monotonic() - self.started
        if code == 0:
            trained = self.folder.written_by(self.process.pid)  # and not another sweep, meanwhile
            return Outcome(self.folder.path, "finished" if trained else "skipped", seconds)
        return Outcome(self.folder.path, "failed", seconds, self._reason(code))

    @property
    def refused(self) -> bool:
        """Whether the process ended because another one, of another sweep, held the run."""
        assert self.process is not None
        return self.process.returncode == RunLockedError.exit_code

    def stop(self) -> None:
        """End the process, if there is one; the run can be resumed."""
        if self.process is None or self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGTERM)  # those of other devices, too
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _reason(self, code: int) -> str:
        """The signal, or the error of the run, or of one that did not begin its last words."""
        if code < 0:
            name = signal.Signals(-code).name
            return f"killed by {name}" + " (out of memory?)" * (name == "SIGKILL")
        error = self.folder.error_of(self.process.pid) if self.process else None
        if error is not None:
            return error
        said = self.folder.log.read_bytes()[self.log_start :].decode(errors="replace").split("\n")
        lines = [line.strip() for line in said if line.strip()]
        return lines[-1].removeprefix("error: ") if lines else f"ended with code {code}"
