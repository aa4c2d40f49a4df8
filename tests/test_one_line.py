"""Whatever ends a run before its work is done reaches the terminal as one line."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faulty import STEP
from tests.run_server import Runs, children
from tests.run_server import runs as runs
from tests.run_server import server as server
from tests.test_main import only, records

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupted_run_says_the_command_that_goes_on(runs: Runs, name: str) -> None:
    """Somebody presses Ctrl-C, ends a job of a cluster or closes the terminal."""
    number = signal.Signals[name]
    said = ("trainer.workers=2", "group='a b'", "trainer.iterations=100000")
    pid = runs.start(*said)
    runs.wait_for_a_record(pid)
    workers = children(pid)
    os.killpg(pid, number)  # the workers of the loader get it, too
    ended = runs.end()
    assert ended.code == 128 + number, ended.said
    assert len(ended.said.splitlines()) == 1, ended.said
    (line,) = ended.said.splitlines()
    words = shlex.split(line.removeprefix("interrupted; to go on: "))
    assert words[:2] == ["python", "main.py"]
    assert tuple(words[-len(said) :]) == said
    status = json.loads((only(runs.folder) / "status.json").read_text())
    assert status["state"] == "interrupted"
    assert len(workers) == 2
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{worker}/exe").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker stays behind"
        time.sleep(0.05)


def test_what_nobody_foresaw_is_one_line_with_the_path_of_its_traceback(runs: Runs) -> None:
    """A user's own loss has a mistake."""
    faulty = ("loss=contrastive", "trainer.workers=0", "loss._target_=tests.faulty.Unforeseen")
    runs.start(*faulty)
    ended = runs.end()
    assert ended.code == 1
    file = only(runs.folder) / "traceback.txt"
    assert ended.said == f"error: KeyError: 'margn'; traceback: {file}\n"
    assert 'raise KeyError("margn")' in file.read_text()


def test_warnings_of_libraries_stay_off_the_terminal(runs: Runs) -> None:
    faulty = ("loss=contrastive", "trainer.workers=0", "loss._target_=tests.faulty.Warned")
    folder = runs.finished(*faulty)
    said = runs.log.read_text()
    assert "this will change" not in said
    assert said.splitlines()[-1] == str(folder / "summary.json")
    assert "UserWarning: this will change" in (folder / "warnings.log").read_text()
    assert records(folder)[-1]["step"] > STEP


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("seed=1\n2", "seed=1"),
        ("loss.margin=" + "1" * 100_000 + "x=", "loss.margin="),
        ("group=\udcff", "is not UTF-8"),
        ("--cfg=job --multirun", "error: "),
    ],
    ids=["newline", "very long", "bytes", "two modes"],
)
def test_odd_arguments_are_one_line(runs: Runs, argument: str, part: str) -> None:
    """A script builds the command line, and something goes wrong there."""
    runs.start(*(argument.split(" ") if argument.startswith("--") else [argument]))
    ended = runs.end()
    assert ended.code == 1
    assert len(ended.said.splitlines()) == 1, ended.said
    (line,) = ended.said.splitlines()
    assert line.startswith("error: ")
    assert part in line
    assert len(line) < 2500
    assert not runs.folder.exists()


@pytest.mark.parametrize(
    ("command", "heavy"),
    [(["main.py", "seed=3"], "torch"), (["-m", "scripts.aggregate", "runs"], "pandas")],
    ids=["main.py", "aggregate"],
)
def test_an_interruption_of_the_imports_is_one_line(command: list[str], heavy: str) -> None:
    """Somebody presses Ctrl-C at once."""
    with subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-v", *command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"import '{heavy}."):
                break
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("interrupted; ")]
    assert line.endswith(shlex.join(command))


def test_a_reader_that_goes_leaves_no_traceback(tmp_path: Path) -> None:
    """`python -m scripts.status runs | head -0`"""
    (tmp_path / "runs").mkdir()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "scripts.status", str(tmp_path / "runs")],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.stderr == ""
