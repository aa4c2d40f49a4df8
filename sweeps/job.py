"""Job of a sweep: one run in a separate process, whose failure does not stop the others."""

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
        state: `finished`; `skipped`, when another process finished it; `failed`; `interrupted`,
            when the sweep was; `not started`.
        seconds: duration of the process; 0 if none was started.
        reason: of a failure, in one line.
    """

    folder: Path
    state: Literal["finished", "skipped", "failed", "interrupted", "not started"]
    seconds: float = 0.0
    reason: str = ""


class Job:
    """Runs `python main.py <arguments>`; its output is appended to `output.log` of the run.

    Args:
        arguments: options and overrides of the run.
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
        """Whether an earlier process finished the run on the same data."""
        return self.folder.finished and not self.force and same_files(self.folder)

    def start(self, gpus: str | None) -> None:
        """Start the process on GPUs such as `0` or `0,1`; None leaves the choice to the run."""
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
                start_new_session=True,  # Ctrl-C reaches the sweep only, which stops its jobs
            )

    def poll(self) -> Outcome | None:
        """The outcome of the process, or None while it runs."""
        assert self.process is not None
        code = self.process.poll()
        if code is None:
            return None
        seconds = time.monotonic() - self.started
        if code == 0 and self.folder.finished:
            trained = self.folder.written_by(self.process.pid)  # else another sweep trained it
            return Outcome(self.folder.path, "finished" if trained else "skipped", seconds)
        return Outcome(self.folder.path, "failed", seconds, self._reason(code))

    @property
    def refused(self) -> bool:
        """Whether the process ended because another process has locked the run."""
        assert self.process is not None
        return self.process.returncode == RunLockedError.exit_code

    def terminate(self) -> None:
        """Ask the process to end; the run can be resumed."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process and wait until it has ended."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the run, including those of other devices."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def _reason(self, code: int) -> str:
        """The signal, the error of the run, or the last line that the process printed."""
        if code < 0:
            name = signal.Signals(-code).name
            return f"killed by {name}" + " (out of memory?)" * (name == "SIGKILL")
        if code == 0:
            return "the process ended, but its results are not in this folder"
        error = self.folder.error_of(self.process.pid) if self.process else None
        if error is not None:
            return error
        output = self.folder.log.read_bytes()[self.log_start :].decode(errors="replace")
        lines = [line.strip() for line in output.split("\n") if line.strip()]
        return lines[-1].removeprefix("error: ") if lines else f"ended with code {code}"
