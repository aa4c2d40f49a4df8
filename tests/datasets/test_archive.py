"""One process at a time downloads or unpacks an archive, and leaves nothing but the result."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets.preparation.archive import Archive
from datasets.table import DatasetError
from tests.datasets.test_unpack import tar_of
from tests.file_server import FileServer, serving

ROOT = Path(__file__).parents[2]
AT_WORK = """
import sys, time
from pathlib import Path
from datasets.preparation.archive import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def never(*_: object) -> None:
    pytest.fail("something was downloaded")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """At an address where nothing is, but already downloaded."""
    content = tar_of(tmp_path / "birds.tar").read_bytes()
    checksum = f"md5:{hashlib.md5(content).hexdigest()}"
    return Archive("http://127.0.0.1:1/", "birds.tar", "birds", len(content), checksum)


@pytest.fixture
def other(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that is at work on the archive."""
    command = [sys.executable, "-c", AT_WORK, str(tmp_path / "birds.tar")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_an_archive_is_fetched_and_unpacked(tmp_path: Path) -> None:
    content = tar_of(tmp_path / "made.tar").read_bytes()
    root = tmp_path / "data"
    with serving(FileServer({"/birds.tar": content})) as server:
        archive = Archive(f"{server.url}/birds.tar", "birds.tar", "birds")
        archive.download(root, lambda *_: None)
    archive.unpack(root)
    archive.unpack(root)  # a second process that waited has nothing to do
    assert sorted(root.iterdir()) == [root / "birds", root / "birds.tar"]


def test_a_second_process_is_refused_until_the_first_is_dead(
    tmp_path: Path, archive: Archive, other: "subprocess.Popen[str]"
) -> None:
    archive.download(tmp_path, never)  # a look at what is there needs no lock
    with pytest.raises(DatasetError, match=r"another process downloads or unpacks .*birds\.tar"):
        archive.unpack(tmp_path)
    (tmp_path / "birds.tar").rename(tmp_path / "kept.tar")
    with pytest.raises(DatasetError, match=r"another process downloads or unpacks .*birds\.tar"):
        archive.download(tmp_path, never)
    (tmp_path / "kept.tar").rename(tmp_path / "birds.tar")
    other.kill()
    other.wait()
    archive.unpack(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_what_is_there_is_verified_in_a_folder_that_cannot_be_written(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", never)  # of a lock
    archive.download(tmp_path, never)
