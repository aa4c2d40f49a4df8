"""Exit message: the one line that a process prints when it ends before its work is done.

It imports the standard library only, so that a command can install it before slow imports.
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
NO_READER = 128 + 13  # exit code of a process whose standard output is closed, as by `| head`


def end_in_one_line() -> None:
    """Make an uncaught exception end this process with one line instead of a traceback."""
    sys.excepthook = _end
    atexit.register(stdout_has_no_reader)


def unforeseen(error: BaseException, file: Path | None = None) -> str:
    """Message of an unexpected error: `TypeError: ...; traceback: <file>`; writes that file.

    Args:
        error: an error without a message for users.
        file: where to write the traceback, if its folder exists; else a temporary file.
    """
    message = f"{type(error).__name__}: {error}"
    text = "".join(traceback.format_exception(error))
    for path in (file, None):
        with suppress(OSError):
            return one_line(message, f"; traceback: {_write(path, text)}")
    return one_line(message)


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
    """The text without line breaks, shortened in its middle to `LONGEST` characters, and `end`."""
    line = " ".join(text.split())
    half = LONGEST // 2
    return (line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}") + end


def interrupted() -> str:
    """Message of an interrupted process, with the command that continues it."""
    return f"interrupted; to go on: {' '.join(map(_quoted, sys.orig_argv))}"


def _quoted(word: str) -> str:
    """A word quoted for the shell, on one line."""
    if re.search(r"[\x00-\x1f\x7f]", word):
        return "$'" + word.encode("unicode_escape").decode().replace("'", r"\'") + "'"
    return shlex.quote(word)


def say(line: str) -> None:
    """Print a line to standard error in the process of rank 0; a closed terminal is no error."""
    if is_first_process():
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def exit_code(interruption: KeyboardInterrupt) -> int:
    return int(getattr(interruption, "exit_code", 130))


def stdout_has_no_reader() -> bool:
    """Whether standard output is closed; further output is then discarded silently."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
        return True
    return False


def discard_stdout() -> None:
    """Discard all further output of this process; its standard output is closed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(
    kind: type[BaseException],  # noqa: ARG001
    error: BaseException,
    trace: TracebackType | None,  # noqa: ARG001
) -> None:
    """The `sys.excepthook` that prints one line."""
    if isinstance(error, KeyboardInterrupt):
        say(interrupted())
        os._exit(exit_code(error))  # the interpreter itself would end by SIGINT for every signal
    if isinstance(error, ConnectionError) and multiprocessing.parent_process() is not None:
        return  # a worker lost its parent process, which prints the reason itself
    if not (isinstance(error, BrokenPipeError) and stdout_has_no_reader()):
        say(f"error: {unforeseen(error)}")
