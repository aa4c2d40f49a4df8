"""What a whole run prints, in a pipe and in a terminal."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.programs import run_command
from tests.programs import server as shared_server
from tests.test_main import only

SMALL = (
    *("dataset=digits", "metric=[recall]", "tracker.mode=disabled", "trainer.workers=0"),
    *("validation=samples", "loss=triplet"),
    *("trainer.iterations=12", "trainer.evaluate_every_iterations=4"),
)
EVALUATION = (
    r"epoch \S+/\S+  step {step}/12  loss \d\.\d{{4}}  val/recall@1 (?P<value>\d\.\d{{4}})  "
    r"best (?P<best>\d\.\d{{4}}) \(epoch \S+\)"
)


def lines_of(runs: Path, *overrides: str) -> list[str]:
    done = run_command("main.py", f"paths.runs={runs}", *SMALL, *overrides)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@contextmanager
def terminal(columns: int) -> Iterator[tuple[Path, list[bytes]]]:
    """A pseudo-terminal: its device, and what was written to it so far."""
    import fcntl
    import struct
    import termios

    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    written: list[bytes] = []

    def read() -> None:
        try:
            while block := os.read(master, 65536):
                written.append(block)
        except OSError:  # all its writers have ended
            return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield Path(os.ttyname(slave)), written
    finally:
        os.close(slave)
        reader.join(30)
        os.close(master)


def test_a_piped_run_describes_itself_and_prints_each_evaluation(tmp_path: Path) -> None:
    said = lines_of(tmp_path)
    assert [line.split()[0] for line in said[:10]] == [
        *("dataset", "images", "device", "backbone", "loss"),
        *("miner", "sampler", "method", "length", "folder"),
    ]
    described = {line.split()[0]: line[10:] for line in said[:10]}
    assert described["dataset"].startswith("digits: train 5 classes, 7")
    assert described["dataset"].endswith("; test 5 classes, 896 images")
    assert described["images"] == "memory"
    assert described["device"].endswith(", 1 process, 32-true")
    assert described["backbone"] == "convnet, 128 dimensions"
    assert (described["loss"], described["miner"]) == ("triplet", "distance")
    assert described["folder"] == str(only(tmp_path))
    best = 0.0
    for line, step in zip(said[10:13], (4, 8, 12), strict=True):
        found = re.match(EVALUATION.format(step=step), line)
        assert found, line
        best = max(best, float(found["value"]))
        assert float(found["best"]) == best
        assert line.endswith(" left") == (step < 12)
    assert said[13].split()[0] == "metric"


def test_none_leaves_the_table_alone_and_the_folder_is_the_same(tmp_path: Path) -> None:
    with_lines = lines_of(tmp_path / "lines", "trainer.progress=lines")
    silent = lines_of(tmp_path / "none", "trainer.progress=none")
    assert silent[0].split()[0] == "metric"
    assert [line.split()[0] for line in with_lines[13:-1]] == [
        line.split()[0] for line in silent[:-1]
    ]
    assert only(tmp_path / "lines").parent.name == only(tmp_path / "none").parent.name


def test_a_resumed_run_says_from_where(tmp_path: Path) -> None:
    lines_of(tmp_path)
    (only(tmp_path) / "status.json").write_text('{"state": "running"}')
    said = lines_of(tmp_path)
    assert said[10].startswith("resumed after epoch ")
    assert said[10].endswith("  step 12/12")
    assert said[11].split()[0] == "metric"


def test_a_reader_that_leaves_does_not_end_the_run(tmp_path: Path) -> None:
    """`python main.py | head -1`"""
    reader, writer = os.pipe()
    shared_server().start(
        ("main.py", f"paths.runs={tmp_path}", *SMALL),
        Path(f"/proc/{os.getpid()}/fd/{writer}"),
        errors=tmp_path / "errors",
    )
    with os.fdopen(reader) as lines:
        assert lines.readline().startswith("dataset   digits: ")
    os.close(writer)
    assert shared_server().wait() == 0
    assert (tmp_path / "errors").read_text() == ""
    assert '"finished"' in (only(tmp_path) / "status.json").read_text()


@pytest.mark.parametrize("columns", [80, 160])
def test_a_terminal_shows_a_bar_below_the_same_lines(tmp_path: Path, columns: int) -> None:
    with terminal(columns) as (device, written):
        shared_server().start(
            ("main.py", f"paths.runs={tmp_path}", *SMALL), device, TERM="xterm", COLUMNS=""
        )
        assert shared_server().wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(written).decode())
    words = " ".join(text.split())
    assert f"folder {only(tmp_path)}" in words.replace("\r", "")
    assert "step 4/12 loss" in words
    assert "12/12 loss" in words, "the bar has the number of steps and the last loss"
    assert re.search(r"val/recall@1 \d", words)
