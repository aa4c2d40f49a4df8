"""Files that are whole or absent, whatever happens while they are written."""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO

from core.errors import UserError

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")  # a name that write_atomically gives


class WriteError(UserError, OSError):
    """The disk took no more; every file is as it was before."""


class DamagedFileError(UserError):
    """A file is not what was once written; the message names it and says what to do."""


@contextmanager
def open_atomically(path: Path) -> Iterator[None]:
    """Name the file that could not be written, and say what to do.

    Raises:
        WriteError: in the place of what the system, or torch for it, says.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = error if isinstance(error, OSError) else error.__context__
        if not isinstance(reason, OSError) or reason.errno is None:  # not the system's
            raise
        raise WriteError(
            f"cannot write {path}: {reason.strerror}; "
            "make room there, or the folder writable, and give the same command again"
        ) from error


def write_atomically(
    path: Path,
    write: Callable[[BinaryIO], object],
    before_replace: Callable[[], object] = lambda: None,
) -> None:
    """Write beside `path`, flush to the disk, then rename: readers see the old or the new file.

    Args:
        path: the file to replace; its folder must exist.
        write: writes the content to the open binary file it is given.
        before_replace: called once the new content is safe and before it takes the name `path`.
    """
    with (
        open_atomically(path),
        NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file,
    ):
        try:
            write(file)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
            before_replace()
            Path(file.name).chmod(0o666 & ~_umask())  # a temporary file is its owner's alone
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _umask() -> int:
    """The permissions this process withholds; the system tells only while they are changed."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def write_text_atomically(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed in `write_atomically` left in `folder`.

    Only for a folder in which no other process writes at this time.
    """
    for path in folder.glob(".*.*"):
        if TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def read_json(path: Path, advice: str) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        advice: what to do if it is damaged, as the end of the error's line.

    Raises:
        DamagedFileError: the file cannot be read, or holds something else than a JSON object.
    """
    try:
        if not path.is_file():  # a pipe would never end
            raise ValueError("it is no file")
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}); {advice}") from error
    if not isinstance(content, dict):
        raise DamagedFileError(f"{path} is damaged (it holds no JSON object); {advice}")
    return content
