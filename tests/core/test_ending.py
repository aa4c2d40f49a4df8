"""The one line of a process that ends early."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import UserError
from core.exit_message import LONGEST, interrupted, one_line, unforeseen
from core.interruption import Interrupted
from engine.config.error_line import user_errors_as_one_line


def failed(error: BaseException) -> BaseException:
    """The error with a traceback."""
    try:
        raise error
    except type(error) as raised:
        return raised


def test_a_traceback_is_kept_beside_the_run_or_else_in_a_temporary_file(tmp_path: Path) -> None:
    error = failed(TypeError("bad\nvalue"))
    for file in (tmp_path / "traceback.txt", tmp_path / "nowhere" / "traceback.txt", None):
        said, _, path = unforeseen(error, file).partition("; traceback: ")
        assert said == "TypeError: bad value"
        assert "raise error\nTypeError: bad\nvalue" in Path(path).read_text()
        assert (Path(path) == file) == (file is not None and file.parent.exists())
        Path(path).unlink()


def test_a_line_is_one_and_no_longer_than_a_screen() -> None:
    assert one_line("a\n b\t\tc") == "a b c"
    assert len(one_line("x" * 10**6)) < LONGEST + 10


def test_the_command_comes_back_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["python", "main.py", "group='a b'", "metric=[recall]", "a\nb'c", "$HOME"]
    monkeypatch.setattr(sys, "orig_argv", words)
    line = interrupted()
    assert "\n" not in line
    command = line.removeprefix("interrupted; to go on: ").replace(
        "python main.py", "printf '%s\\0'"
    )
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert shown.stdout.split("\0")[:-1] == words[2:]


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (Interrupted(15), 143), (Interrupted(1), 129)],
)
def test_a_command_that_is_interrupted_has_the_code_of_the_signal(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in the middle of aggregate, prepare_data or evaluate."""
    with pytest.raises(SystemExit) as ended, user_errors_as_one_line():
        raise error
    assert ended.value.code == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("interrupted; to go on: ")


def test_only_what_nobody_foresaw_has_a_traceback() -> None:
    with pytest.raises(SystemExit, match=r"^error: this is wrong$"), user_errors_as_one_line():
        raise UserError("this is wrong")
    unknown = r"^error: IndexError: 7; traceback: .*\.txt$"
    with pytest.raises(SystemExit, match=unknown) as ended, user_errors_as_one_line():
        raise IndexError(7)
    Path(str(ended.value.code).rpartition("traceback: ")[2]).unlink()


@pytest.mark.parametrize("in_worker", [True, False])
def test_a_worker_that_loses_its_run_says_nothing(in_worker: bool) -> None:
    """A user presses Ctrl-C while a worker hands over a batch, and reads one line, not two."""
    code = """
import multiprocessing, sys
from core.exit_message import end_in_one_line
end_in_one_line()
def lose():
    try:
        raise ConnectionResetError("by peer")
    except ConnectionResetError:
        sys.excepthook(*sys.exc_info())  # as the thread does that multiprocessing sends with
if sys.argv[1] == "True":
    worker = multiprocessing.get_context("fork").Process(target=lose)
    worker.start(), worker.join()
else:
    lose()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(in_worker)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stderr.splitlines()
    assert len(lines) == (0 if in_worker else 1), done.stderr
    assert in_worker or lines[0].startswith("error: ConnectionResetError: by peer; traceback: ")
