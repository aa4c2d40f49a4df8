"""Atomic writing: a file is complete or absent, even if the process is killed while writing."""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO

from core.errors import UserError

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")  # names of the temporary files of write_atomically


class WriteError(UserError, OSError):
    """Write error: a file cannot be written; every file is unchanged."""


class DamagedFileError(UserError):
    """Damaged file: a file differs from what was written; the message names it and the remedy."""


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Replace an error of the operating system by one that names the file and the remedy.

    Raises:
        WriteError: the system cannot write; torch wraps such errors, too.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = error if isinstance(error, OSError) else error.__context__
        if not isinstance(reason, OSError) or reason.errno is None:  # not an error of the system
            raise
        raise WriteError(
            f"cannot write {path}: {reason.strerror}; "
            "free space there or make the folder writable, and run the same command again"
        ) from error


def write_atomically(
    path: Path,
    write: Callable[[BinaryIO], object],
    before_replace: Callable[[], object] = lambda: None,
) -> None:
    """Write a file atomically: to a temporary file, flushed to disk and renamed to `path`.

    Args:
        path: the file to replace; its folder must exist.
        write: writes the content to the open binary file.
        before_replace: called after the new content is on disk and before the rename.
    """
    with (
        explain_write_errors(path),
        NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file,
    ):
        try:
            write(file)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
            before_replace()
            Path(file.name).chmod(0o666 & ~_umask())  # temporary files are private to their owner
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _umask() -> int:
    """The umask of this process, which can be read only by setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    write_atomically(path, lambda file: file.write(text.encode()))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder to which no process writes."""
    for path in folder.glob(".*.*"):
        if TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def read_json(path: Path, advice: str) -> dict[str, Any]:
    """Read the JSON object in a file.

    Args:
        advice: what to do if it is damaged, which ends the error message.

    Raises:
        DamagedFileError: the file cannot be read, or is not a JSON object.
    """
    try:
        if not path.is_file():  # reading a pipe would never end
            raise ValueError("it is not a file")
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}); {advice}") from error
    if not isinstance(content, dict):
        raise DamagedFileError(f"{path} is damaged (it holds no JSON object); {advice}")
    return content
