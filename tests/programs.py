"""Commands of the project as a shell would run them, each started in a moment.

They are forked from a process that has imported torch and the engine, which takes seconds. What
imports do, and what must be set before them, is to be tested in a fresh interpreter.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVER = """
import json, os, resource, runpy, signal, sys
sys.path.insert(0, os.getcwd())
import main, engine.train, scripts.evaluate  # once: what follows starts in a moment
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(order["log"], flags), 1)
        os.dup2(os.open(order["errors"], flags) if order["errors"] else 1, 2)
        os.setsid()  # a group of its own, as a terminal gives it
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have ignored it
        os.environ.clear()
        os.environ.update(order["environment"])
        os.chdir(order["folder"])
        sys.path[1:1] = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if order["limit"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], order["limit"]))
        program, *arguments = order["arguments"]
        sys.orig_argv = ["python", program, *arguments]
        if program == "-m":
            sys.argv = arguments
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = [program, *arguments]
            runpy.run_path(program, run_name="__main__")
        sys.exit()
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Server:
    """Starts one command after the other."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(
        self,
        arguments: tuple[str, ...],
        log: Path,
        errors: Path | None = None,
        limit: int = 0,
        folder: Path = ROOT,
        **variables: str,
    ) -> int:
        """The process, in a folder; both outputs go to the log unless the errors have a file."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
        order = {"arguments": arguments, "log": str(log), "errors": errors and str(errors)}
        order |= {"folder": str(folder)}
        order |= {"environment": environment, "limit": limit}
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self._answer())

    def wait(self) -> int:
        """The exit status of the command, or the negative number of the signal that ended it."""
        return int(self._answer())

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.terminate()  # a loader's worker of a test may hold its input open
        self.process.wait()
        self.process.stdout.close()

    def _answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()


@cache
def server() -> Server:
    """One for all tests of this process."""
    started = Server()
    atexit.register(started.close)
    return started


def run_command(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """`python <arguments>` in the folder of the project, with these environment variables."""
    with tempfile.TemporaryDirectory() as folder:
        log, errors = Path(folder) / "log", Path(folder) / "errors"
        try:
            server().start(arguments, log, errors, **variables)
            status = server().wait()
        except BaseException:  # a timeout: the answer would be taken for that of the next command
            server().process.kill()
            server.cache_clear()
            raise
        return subprocess.CompletedProcess(arguments, status, log.read_text(), errors.read_text())
