"""Files are whole or absent, and as readable as any other file of the user."""

import resource
from pathlib import Path

import pytest

from core.files import (
    DamagedFileError,
    WriteError,
    read_json,
    remove_leftovers,
    write_atomically,
    write_text_atomically,
)


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
        with pytest.raises(WriteError, match="file: File too large; free space") as raised:
            write_text_atomically(tmp_path / "file", "x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(raised.value, OSError), "who goes on without the file still can"
    assert not list(tmp_path.iterdir())


def test_what_a_killed_write_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """Every kill in the middle of a write left a hidden file as large as a checkpoint."""
    left: list[str] = []
    write_atomically(tmp_path / "last.pt", lambda file: left.append(Path(file.name).name))
    (tmp_path / left[0]).touch()
    kept = ["last.pt", ".lock", ".gitignore", ".last.pt", "last.pt.a1b2c3d4"]
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / ".a.folder12").mkdir()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*kept, ".a.folder12"}
    remove_leftovers(tmp_path / "missing")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"\xff\xff", "can't decode byte"),
        (b"[1]", "holds no JSON object"),
        (b"[" * 99999, "recursion"),
    ],
)
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    """After a crash of the machine a file was empty: "Expecting value: line 1 column 1"."""
    path = tmp_path / "cost.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=f"cost.json is damaged .*{reason}.*; delete it"):
        read_json(path, "delete it")
