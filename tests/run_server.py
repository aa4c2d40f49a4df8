"""Whole runs by the real command, each in a moment: processes forked from a warm one."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.programs import Server
from tests.test_main import only

RUN = (
    "dataset=digits",
    "metric=[recall]",
    "tracker.mode=disabled",
    "trainer.progress=none",
    "trainer.source=files",
    "trainer.iterations=48",
    "trainer.log_every=1",
    "trainer.checkpoint_every=2",
)


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

    def __init__(self, server: Server, folder: Path, log: Path) -> None:
        self.server, self.folder, self.log = server, folder, log

    def start(self, *overrides: str, limit: int = 0, **variables: str) -> int:
        """The process; `limit` is the largest file that it may write, in bytes."""
        arguments = ("main.py", *self.arguments(*overrides))
        return self.server.start(arguments, self.log, limit=limit, **variables)

    def command(self, line: str, folder: Path, **variables: str) -> Ended:
        """`python <script or -m module> <arguments>`, as a shell runs it in that folder."""
        python, *arguments = words(line, folder, variables)
        assert python == "python", line
        self.server.start(tuple(arguments), self.log, folder=folder, **variables)
        return self.end()

    def arguments(self, *overrides: str) -> list[str]:
        """The arguments of `python main.py` for a run of this server."""
        return [f"paths.runs={self.folder}", *RUN, *overrides]

    def end(self) -> Ended:
        return Ended(self.server.wait(), self.log.read_text())

    def finished(self, *overrides: str, **variables: str) -> Path:
        self.start(*overrides, **variables)
        code, said = self.end()
        assert code == 0, said
        return only(self.folder)

    @property
    def recorded(self) -> int:
        """Bytes of metrics.jsonl so far."""
        return sum(path.stat().st_size for path in self.folder.glob("*/*/*/metrics.jsonl"))

    def wait_for_a_record(self, pid: int) -> None:
        before = self.recorded
        while self.recorded <= before and Path(f"/proc/{pid}/exe").exists():
            time.sleep(0.005)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for these tests, which kill and interrupt what it starts."""
    started = Server()
    yield started
    started.close()


@pytest.fixture
def runs(server: Server, tmp_path: Path) -> Runs:
    return Runs(server, tmp_path / "runs", tmp_path / "log")
