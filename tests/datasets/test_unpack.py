"""Honest, damaged and malicious archives: an honest one is unpacked, of the others nothing is."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets.preparation.unpack import unpack
from datasets.table import DatasetError

FILES = {
    "birds/images/001.Albatross/a.jpg": b"first",
    "birds/images/002.Auklet/b.jpg": bytes(100_000),
    "birds/empty.txt": b"",
    "attributes.txt": b"beside the folder",
}
ENDS = {".tar": "w", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
OUTSIDE = [
    "../evil",
    "{root}/evil",
    "birds/../../evil",
    "birds/a/../../../evil",
    "./../evil",
    "birds/..",
]


def tar_of(file: Path, *members: tarfile.TarInfo, mode: str = "w") -> Path:
    """FILES, then the given members, each with the content `evil` if it is a file."""
    with tarfile.open(file, mode) as archive:
        for name, content in FILES.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.mode = len(content), 0o4755
            archive.addfile(info, io.BytesIO(content))
        for info in members:
            info.size = 4 if info.isreg() else 0
            archive.addfile(info, io.BytesIO(b"evil"))
    return file


def zip_of(file: Path, *members: zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("birds/", b"")
        for name, content in FILES.items():
            archive.writestr(name, content)
        for info in members:
            archive.writestr(info, b"../../evil")
    return file


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_entry(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return info


def refused(archive: Path, folder: Path, said: str) -> None:
    """Nothing may be where it was not before, inside or outside."""
    before = sorted(folder.parent.parent.rglob("*"))
    with pytest.raises(DatasetError, match=said):
        unpack(archive, folder)
    assert sorted(folder.parent.parent.rglob("*")) == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "birds"


@pytest.mark.parametrize("end", [*ENDS, ".zip"])
def test_an_honest_archive_becomes_its_folder(folder: Path, end: str) -> None:
    file = folder.parent / f"birds{end}"
    archive = zip_of(file) if end == ".zip" else tar_of(file, mode=ENDS[end])
    unpack(archive, folder)
    found = {
        f"birds/{path.relative_to(folder)}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == {name: content for name, content in FILES.items() if name.startswith("birds/")}
    assert sorted(folder.parent.iterdir()) == [folder, archive]
    assert not any(path.stat().st_mode & stat.S_ISUID for path in folder.rglob("*"))


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE], ids=["file", "folder"])
def test_a_tar_that_reaches_outside_is_refused(folder: Path, name: str, kind: bytes) -> None:
    archive = tar_of(
        folder.parent / "birds.tar", entry(name.format(root=folder.parent.parent), kind)
    )
    refused(archive, folder, "would lie outside its folder")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_zip_that_reaches_outside_is_refused(folder: Path, name: str) -> None:
    archive = zip_of(
        folder.parent / "birds.zip", zipfile.ZipInfo(name.format(root=folder.parent.parent))
    )
    refused(archive, folder, "would lie outside its folder")


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "../../evil"),
        (tarfile.SYMTYPE, "images"),  # harmless, but nothing here needs links
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "birds/empty.txt"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_a_tar_with_a_link_or_a_device_is_refused(folder: Path, kind: bytes, target: str) -> None:
    through = entry("birds/link/evil")  # what would follow the link
    archive = tar_of(folder.parent / "birds.tar", entry("birds/link", kind, target), through)
    refused(archive, folder, "'birds/link' is a link or a device")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
@pytest.mark.parametrize("name", ["birds/link", "birds/link/"])
def test_a_zip_with_a_link_or_a_device_is_refused(folder: Path, kind: int, name: str) -> None:
    archive = zip_of(
        folder.parent / "birds.zip", zip_entry(name.format(root=folder.parent.parent), kind)
    )
    refused(archive, folder, f"'{name}' is a link or a device")


def test_a_link_beside_the_folder_is_refused_too(folder: Path) -> None:
    archive = tar_of(folder.parent / "birds.tar", entry("link", tarfile.SYMTYPE, "/etc"))
    refused(archive, folder, "is a link or a device")


def halve(content: bytes) -> bytes:
    return content[: len(content) // 2]


def spoil(content: bytes) -> bytes:
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(byte ^ 255 for byte in content[middle : middle + 40])
        + (content[middle + 40 :])
    )


@pytest.mark.parametrize("damage", [halve, spoil])
@pytest.mark.parametrize("end", [".tgz", ".tar.xz"])
def test_a_damaged_tar_is_refused(folder: Path, damage: Callable[[bytes], bytes], end: str) -> None:
    archive = tar_of(folder.parent / f"birds{end}", mode=ENDS[end])
    archive.write_bytes(damage(archive.read_bytes()))
    refused(archive, folder, "is damaged|neither a tar nor a zip")


def test_a_zip_with_wrong_content_is_refused(folder: Path) -> None:
    archive = folder.parent / "birds.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("birds/a.txt", b"what was written")
    archive.write_bytes(archive.read_bytes().replace(b"what was written", b"what was altered"))
    refused(archive, folder, "is damaged: Bad CRC-32")


def test_an_encrypted_zip_is_refused(folder: Path) -> None:
    archive = zip_of(folder.parent / "birds.zip")
    content = bytearray(archive.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark, content.find(mark) + 1)  # of the first file, after the folder
        content[place + flags] |= 1
    archive.write_bytes(content)
    refused(archive, folder, "is damaged: .* is encrypted")


def test_something_else_is_refused(folder: Path) -> None:
    archive = folder.parent / "birds.tgz"
    archive.write_text("<html>Please log in</html>")
    refused(archive, folder, "neither a tar nor a zip archive")


def test_an_archive_of_something_else_is_refused(folder: Path) -> None:
    archive = tar_of(folder.parent / "birds.tar")
    refused(archive, folder.with_name("cars"), "holds no folder cars")


def test_what_a_killed_call_left_is_no_part_of_the_folder(folder: Path) -> None:
    left = folder.with_name(".birds.part") / "birds"
    left.mkdir(parents=True)
    (left / "half.jpg").write_bytes(b"ha")
    archive = tar_of(folder.parent / "birds.tar")
    unpack(archive, folder)
    assert sorted(folder.parent.iterdir()) == [folder, archive]
    assert not (folder / "half.jpg").exists()


def test_a_folder_that_is_there_is_kept(folder: Path) -> None:
    archive = tar_of(folder.parent / "birds.tar")
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(OSError, match="not empty"):
        unpack(archive, folder)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
