"""What a process says when it ends before its work is done: one line, whatever happened.

Of the standard library alone, so that a command can ask for it before imports that take seconds.
"""

import atexit
import multiprocessing
import os
import re
import shlex
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from core.process_rank import is_first_process

LONGEST = 2000  # characters of a line on the terminal
NO_READER = 128 + 13  # exit code of a process whose reader has gone, as `| head` does


def end_in_one_line() -> None:
    """From now on an exception that nothing catches ends this process with one line."""
    sys.excepthook = _end
    atexit.register(stdout_has_no_reader)


def unforeseen(error: BaseException, file: Path | None = None) -> str:
    """`TypeError: what; traceback: path` in one line, with the whole traceback in that file.

    Args:
        error: that nobody has words for.
        file: where the traceback is written, if its folder exists; else a temporary file.
    """
    said = f"{type(error).__name__}: {error}"
    text = "".join(traceback.format_exception(error))
    for path in (file, None):
        with suppress(OSError):
            return one_line(said, f"; traceback: {_write(path, text)}")
    return one_line(said)


def _write(file: Path | None, text: str) -> Path:
    content = text.encode(errors="backslashreplace")
    if file is not None:
        file.write_bytes(content)
        return file
    number, name = tempfile.mkstemp(prefix="dml-traceback-", suffix=".txt")
    with os.fdopen(number, "wb") as temporary:
        temporary.write(content)
    return Path(name)


def one_line(text: str, end: str = "") -> str:
    """Text without line breaks, cut in its middle to `LONGEST` characters, and its end."""
    line = " ".join(text.split())
    half = LONGEST // 2
    return (line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}") + end


def interrupted() -> str:
    """What an interrupted process says: the command that goes on, as it was given."""
    return f"interrupted; to go on: {' '.join(map(_quoted, sys.orig_argv))}"


def _quoted(word: str) -> str:
    """A word for the shell, on one line."""
    if re.search(r"[\x00-\x1f\x7f]", word):
        return "$'" + word.encode("unicode_escape").decode().replace("'", r"\'") + "'"
    return shlex.quote(word)


def say(line: str) -> None:
    """On standard error, by the first of several processes; there may be no terminal any more."""
    if is_first_process():
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def exit_code(interruption: KeyboardInterrupt) -> int:
    return int(getattr(interruption, "exit_code", 130))


def stdout_has_no_reader() -> bool:
    """Whether what is printed cannot arrive any more; then it goes nowhere, without a word."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _end(
    kind: type[BaseException],  # noqa: ARG001
    error: BaseException,
    trace: TracebackType | None,  # noqa: ARG001
) -> None:
    """`sys.excepthook`."""
    if isinstance(error, KeyboardInterrupt):
        say(interrupted())
        os._exit(exit_code(error))  # else the interpreter ends by SIGINT, whatever the signal was
    if isinstance(error, ConnectionError) and multiprocessing.parent_process() is not None:
        return  # a worker loses the process that it works for, which says itself why it ends
    if not (isinstance(error, BrokenPipeError) and stdout_has_no_reader()):
        say(f"error: {unforeseen(error)}")
