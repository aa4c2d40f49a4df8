"""A download over a server that breaks off, stalls, forgets, changes its mind or is gone."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from datasets.preparation.download import download
from datasets.table import DatasetError
from tests.file_server import FileServer, serving

ROOT = Path(__file__).parents[2]
CONTENT = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes()
SIZE = len(CONTENT)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer({"/birds.tgz": CONTENT})) as server:
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "birds.tgz"


def unseen(*_: object) -> None:
    pass


def fetch(server: FileServer, file: Path, **known: object) -> None:
    download(f"{server.url}/birds.tgz", file, unseen, wait=0, **known)


def ranges(server: FileServer) -> list[str | None]:
    return [headers.get("Range") for headers in server.asked]


def part_of(file: Path) -> Path:
    return file.with_name("birds.tgz.part")


def only(file: Path) -> bool:
    return list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("checksum", [None, MD5, SHA256])
def test_a_file_arrives_whole_and_the_bar_hears_of_it(
    server: FileServer, file: Path, checksum: str | None
) -> None:
    told: list[tuple[int, int | None]] = []
    url = f"{server.url}/birds.tgz"
    download(url, file, lambda *state: told.append(state), size=SIZE, checksum=checksum)
    assert file.read_bytes() == CONTENT
    assert only(file)
    assert told[-1] == (SIZE, SIZE)
    assert told == sorted(told)


def test_a_connection_that_breaks_off_is_continued(server: FileServer, file: Path) -> None:
    server.breaks = [1_000_000, 500_000]
    fetch(server, file, checksum=MD5)
    assert file.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=1000000-", "bytes=1500000-"]
    assert server.sent == SIZE


def test_it_goes_on_as_long_as_something_comes(server: FileServer, file: Path) -> None:
    server.breaks = [100_000] * 12
    fetch(server, file, checksum=MD5, attempts=2)
    assert file.read_bytes() == CONTENT
    assert len(server.asked) == 13


def test_what_an_earlier_call_left_is_continued(server: FileServer, file: Path) -> None:
    part_of(file).write_bytes(CONTENT[:2_000_000])
    fetch(server, file, size=SIZE, checksum=SHA256)
    assert file.read_bytes() == CONTENT
    assert server.sent == SIZE - 2_000_000
    assert only(file)


def test_a_killed_download_is_continued(server: FileServer, file: Path) -> None:
    server.stalls = 1_200_000
    code = (
        "import sys; from pathlib import Path; from datasets.preparation.download import download;"
        "download(sys.argv[1], Path(sys.argv[2]), lambda *_: None, checksum=sys.argv[3])"
    )
    url = f"{server.url}/birds.tgz"
    child = subprocess.Popen([sys.executable, "-c", code, url, file, MD5], cwd=ROOT)
    while server.sent < 1_200_000 or part_of(file).stat().st_size < 1_000_000:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not file.exists()
    server.stalls = None
    left = part_of(file).stat().st_size
    fetch(server, file, checksum=MD5)
    assert file.read_bytes() == CONTENT
    assert ranges(server)[-1] == f"bytes={left}-"


def test_a_part_that_is_complete_is_not_asked_for(server: FileServer, file: Path) -> None:
    part_of(file).write_bytes(CONTENT)
    fetch(server, file, size=SIZE, checksum=MD5)
    assert file.read_bytes() == CONTENT
    assert not server.asked


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_part_beyond_the_end_is_begun_anew(server: FileServer, file: Path, extra: bytes) -> None:
    """The server has nothing left to send: 416."""
    part_of(file).write_bytes(CONTENT + extra)
    fetch(server, file, checksum=MD5)
    assert file.read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={SIZE + len(extra)}-", None]


def test_a_server_that_cannot_continue_begins_anew(server: FileServer, file: Path) -> None:
    server.ranges, server.breaks = False, [1_000_000]
    fetch(server, file, checksum=MD5)
    assert file.read_bytes() == CONTENT


def test_a_part_from_elsewhere_is_not_taken(server: FileServer, file: Path) -> None:
    server.breaks, server.shift = [1_000_000], 7
    fetch(server, file)
    assert file.read_bytes() == CONTENT


def test_a_file_that_changes_meanwhile_is_begun_anew(server: FileServer, file: Path) -> None:
    server.files, server.breaks = {"/birds.tgz": bytes(SIZE)}, [1_000_000]

    def change(*_: object) -> None:
        server.files, server.version = {"/birds.tgz": CONTENT}, '"2"'

    download(f"{server.url}/birds.tgz", file, change, wait=0)
    assert file.read_bytes() == CONTENT
    assert server.asked[1]["If-Range"] == '"1"'


def test_without_a_checksum_an_old_part_is_not_trusted(server: FileServer, file: Path) -> None:
    part_of(file).write_bytes(bytes(1000))
    fetch(server, file, size=SIZE)
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"checksum": "md5:" + "0" * 32}, f"{MD5[4:]}, expected 000"),
        ({"size": SIZE + 1}, "3,000,000 bytes, expected 3,000,001"),
        ({"size": SIZE - 1}, "3,000,000 bytes, expected 2,999,999"),
    ],
)
def test_another_file_than_the_known_one_is_refused(
    server: FileServer, file: Path, known: dict[str, object], said: str
) -> None:
    with pytest.raises(DatasetError, match=said):
        fetch(server, file, **known)
    assert not list(file.parent.iterdir())


def test_a_packed_file_stays_packed(server: FileServer, file: Path) -> None:
    """Some servers declare a .tgz to be encoded by gzip; the checksum is of the .tgz."""
    server.encoding = "gzip"
    fetch(server, file, checksum=MD5)
    assert file.read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(server: FileServer, file: Path) -> None:
    server.answers = [503, 429, 500]
    fetch(server, file, checksum=MD5)
    assert file.read_bytes() == CONTENT


def test_it_waits_twice_as_long_after_each_attempt_in_vain(
    server: FileServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server.breaks = [1_000_000, 0, 0]
    download(f"{server.url}/birds.tgz", file, unseen, checksum=MD5)
    assert waits == [1, 2, 4]


def test_a_refusal_is_final(server: FileServer, file: Path) -> None:
    server.answers = [403]
    with pytest.raises(DatasetError, match="the server answers 403 Forbidden"):
        fetch(server, file)
    assert len(server.asked) == 1


def test_it_gives_up_and_the_next_call_continues(server: FileServer, file: Path) -> None:
    server.breaks = [1_000_000, 0, 0, 0]
    with pytest.raises(DatasetError, match="the same command continues where it stopped"):
        fetch(server, file, checksum=MD5, attempts=3)
    assert not file.exists()
    fetch(server, file, checksum=MD5)
    assert ranges(server)[-1] == "bytes=1000000-"
    assert file.read_bytes() == CONTENT


def test_nobody_at_the_address(tmp_path: Path) -> None:
    with serving(FileServer({})) as gone:
        pass
    with pytest.raises(
        DatasetError, match=r"cannot download http://127\.0\.0\.1:.*Connection refused"
    ):
        download(f"{gone.url}/a.zip", tmp_path / "a.zip", unseen, attempts=2, wait=0)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a.zip", "a.zip"])
def test_an_address_of_another_kind(tmp_path: Path, url: str) -> None:
    with pytest.raises(DatasetError, match="cannot download"):
        download(url, tmp_path / "a.zip", unseen)
