"""Whole runs by the real command, each in a moment: processes forked from a warm one."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.test_main import only

ROOT = Path(__file__).parents[1]
RUN = (
    "dataset=digits",
    "metric=[recall]",
    "tracker.mode=disabled",
    "trainer.source=files",
    "trainer.iterations=48",
    "trainer.log_every=1",
    "trainer.checkpoint_every=2",
)
SERVER = """
import json, os, resource, runpy, signal, sys
sys.path.insert(0, os.getcwd())
import main, engine.train  # once: what follows starts in a moment
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        os.setsid()  # a group of its own, as a terminal gives it
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have ignored it
        os.environ.update(order["variables"])
        sys.path += order["variables"].get("PYTHONPATH", "").split(os.pathsep)
        if order["limit"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], order["limit"]))
        for place in reversed(order.get("path", [])):  # as PYTHONPATH does, behind the script's own
            sys.path.insert(1, place)
        os.chdir(order.get("folder", "."))
        sys.argv = [order.get("script", "main.py"), *order["arguments"]]
        sys.orig_argv = ["python", *sys.argv]
        run = runpy.run_module if order.get("module") else runpy.run_path
        run(order.get("module", sys.argv[0]), run_name="__main__")
        sys.exit()
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def children(pid: int) -> Sequence[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def words(line: str, folder: Path, variables: Mapping[str, str]) -> list[str]:
    """What a shell makes of a line in a folder: the command and its arguments."""
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"],
        cwd=folder,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.split("\0")[:-1]


class Ended(NamedTuple):
    code: int
    said: str


class Runs:
    """Runs below one folder, one after the other, in processes forked from a warm one."""

    def __init__(self, server: "subprocess.Popen[str]", folder: Path, log: Path) -> None:
        self.server, self.folder, self.log = server, folder, log

    def start(self, *overrides: str, limit: int = 0, **variables: str) -> int:
        """The process; `limit` is the largest file that it may write, in bytes."""
        return self._order(
            arguments=self.arguments(*overrides), limit=limit, variables=variables
        )

    def send(self, arguments: Sequence[str], limit: int, variables: Mapping[str, str]) -> int:
        """The process of `python main.py <arguments>`."""
        return self._order(arguments=arguments, limit=limit, variables=variables)

    def command(self, line: str, folder: Path, **variables: str) -> Ended:
        """`python <script or -m module> <arguments>`, as a shell runs it in that folder."""
        python, name, *arguments = words(line, folder, variables)
        assert python == "python", line
        order: dict[str, Any] = {"script": name}
        if name == "-m":
            order["module"], *arguments = arguments
        path = [str(folder / place) for place in variables.get("PYTHONPATH", "").split(":")]
        self._order(
            arguments=arguments, folder=str(folder), path=path, variables=variables, **order
        )
        return self.end()

    def _order(self, **order: object) -> int:
        order = {"limit": 0, "log": str(self.log), **order}
        assert self.server.stdin
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        return int(self._answer())

    def arguments(self, *overrides: str) -> list[str]:
        """The arguments of `python main.py` for a run of this server."""
        return [f"paths.runs={self.folder}", *RUN, *overrides]

    def end(self) -> Ended:
        return Ended(int(self._answer()), self.log.read_text())

    def finished(self, *overrides: str, **variables: str) -> Path:
        self.start(*overrides, **variables)
        code, said = self.end()
        assert code == 0, said
        return only(self.folder)

    def _answer(self) -> str:
        assert self.server.stdout
        return self.server.stdout.readline()

    @property
    def recorded(self) -> int:
        """Bytes of metrics.jsonl so far."""
        return sum(path.stat().st_size for path in self.folder.glob("*/*/*/metrics.jsonl"))

    def wait_for_a_record(self, pid: int) -> None:
        before = self.recorded
        while self.recorded <= before and Path(f"/proc/{pid}/exe").exists():
            time.sleep(0.005)


@pytest.fixture(scope="module")
def server() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def runs(server: "subprocess.Popen[str]", tmp_path: Path) -> Runs:
    return Runs(server, tmp_path / "runs", tmp_path / "log")
