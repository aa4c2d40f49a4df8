"""One run of a sweep, in a process of its own: whatever happens to it, the others go on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from tracking.data_files import same_files
from tracking.run_folder import RunFolder, RunLockedError

MAIN = Path(__file__).parent.parent / "main.py"


class Outcome(NamedTuple):
    """How a run ended.

    Args:
        folder: of the run.
        state: `finished`; `skipped`, another process finished it; `failed`; `interrupted`, with
            its sweep; `not started`.
        seconds: of this process; 0 without one.
        reason: of a failure, in one line.
    """

    folder: Path
    state: Literal["finished", "skipped", "failed", "interrupted", "not started"]
    seconds: float = 0.0
    reason: str = ""


class Job:
    """`python main.py <arguments>`; what it prints is appended to `output.log` of its run.

    Args:
        arguments: of the run, overrides and the options before them.
        folder: of the run.
        force: run it again even if it is finished.
    """

    def __init__(self, arguments: Sequence[str], folder: RunFolder, force: bool = False) -> None:
        self.arguments, self.folder, self.force = list(arguments), folder, force
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
                [sys.executable, str(MAIN), *self.arguments],
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
        if code == 0 and self.folder.finished:
            trained = self.folder.written_by(self.process.pid)  # and not another sweep, meanwhile
            return Outcome(self.folder.path, "finished" if trained else "skipped", seconds)
        return Outcome(self.folder.path, "failed", seconds, self._reason(code))

    @property
    def refused(self) -> bool:
        """Whether the process ended because another one, of another sweep, held the run."""
        assert self.process is not None
        return self.process.returncode == RunLockedError.exit_code

    def terminate(self) -> None:
        """Ask the process to end; the run can be resumed."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process, whatever it is doing, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        """To every process of the run, those of other devices, too."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def _reason(self, code: int) -> str:
        """The signal, or the error of the run, or of one that did not begin its last words."""
        if code < 0:
            name = signal.Signals(-code).name
            return f"killed by {name}" + " (out of memory?)" * (name == "SIGKILL")
        if code == 0:
            return "it ended, but what it did is not in this folder"
        error = self.folder.error_of(self.process.pid) if self.process else None
        if error is not None:
            return error
        said = self.folder.log.read_bytes()[self.log_start :].decode(errors="replace").split("\n")
        lines = [line.strip() for line in said if line.strip()]
        return lines[-1].removeprefix("error: ") if lines else f"ended with code {code}"
