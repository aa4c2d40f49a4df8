"""Worker of a benchmark: a process that stays alive and measures its implementation when asked."""

import json
import resource
import select
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.implementation import GIB


class Worker:
    """`python -m <module and arguments>`, which answers every line with a line of JSON.

    A worker that dies or is late takes no further part; its failure is its answer until `restart`.

    Args:
        module: name of a module, and its arguments.
        memory_gib: of data the process may hold.
        timeout: seconds an answer may take.
    """

    def __init__(self, module: Sequence[str], memory_gib: float, timeout: float) -> None:
        self.module, self.timeout = module, timeout
        self.memory = int(memory_gib * GIB)
        self.start()

    def start(self) -> None:
        limits = (self.memory, self.memory)
        self.failure = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, limits),
        )

    def restart(self) -> None:
        """Let it take part in the next race."""
        if self.failure:
            self.start()

    def ask(self, question: str) -> dict[str, Any]:
        """The answer, or {"failure": why there is none}."""
        if not self.failure:
            try:
                return self._answer(question)
            except (OSError, ValueError) as error:
                self.failure = self._stderr_tail(error)
        return {"failure": self.failure}

    def _answer(self, question: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], self.timeout)[0]:
            raise TimeoutError(f"no answer within {self.timeout:g} s")
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def _stderr_tail(self, error: Exception) -> str:
        self.process.kill()
        lines = self.process.communicate()[1].strip().splitlines()
        if isinstance(error, TimeoutError):
            return str(error)
        return lines[-1][:120] if lines else f"ended with code {self.process.returncode}"

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
