"""Files are whole or absent, and as readable as any other file of the user."""

import resource
from pathlib import Path

import pytest

from core.files import WriteError, write_atomically, write_text_atomically


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    seen_before = []

    def before() -> None:
        seen_before.append(path.read_text())

    write_atomically(path, lambda file: file.write(b"new"), before_replace=before)
    assert seen_before == ["old"]
    assert path.read_text() == "new"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(_file: object) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, fail)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def test_colleagues_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    ordinary, atomic = tmp_path / "ordinary", tmp_path / "atomic"
    ordinary.touch()
    write_text_atomically(atomic, "text")
    assert atomic.stat().st_mode == ordinary.stat().st_mode


def test_a_file_that_may_not_grow_is_named(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(WriteError, match="file: File too large; make room") as raised:
            write_text_atomically(tmp_path / "file", "x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(raised.value, OSError), "who goes on without the file still can"
    assert not list(tmp_path.iterdir())
