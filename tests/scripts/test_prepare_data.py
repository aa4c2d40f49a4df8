"""The command on whole datasets: what it fetches, finds, writes and refuses."""

import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from datasets.csv import csv
from datasets.cub200 import cub200
from datasets.preparation.archive import Archive
from engine.config.run_name import CONF
from engine.data import acquisition, preparation
from engine.data.acquisition import archives_of
from scripts.prepare_data import main
from tests.file_server import FileServer, serving
from tests.trees import write_cub200

SMALL = ["dataset=cub200", "dataset.counts=null", "trainer.workers=0"]  # miniature, one process
TRAIN, TEST = "images/001.Bird_H", "images/008.Bird_A"
DOWNLOADS = sorted(path.stem for path in (CONF / "download").glob("*.yaml"))


def prepare(root: Path, *overrides: str) -> dict[str, Any]:
    """What it found, by its own JSON."""
    main([*SMALL, f"paths.data={root}", *overrides])
    content = (root / "CUB_200_2011" / "cub200.json").read_text()
    found: dict[str, Any] = json.loads(content)
    return found


def error_of(arguments: list[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return str(ended.value.code)


def test_a_sound_dataset_becomes_a_table_that_trains(cub200_tree: Path) -> None:
    found = prepare(cub200_tree)
    assert found["counts"] == {
        "train": {"classes": 4, "images": 16},
        "test": {"classes": 4, "images": 16},
    }
    assert not found["unreadable"] + found["exact_duplicates"] + found["near_duplicates"]
    written = csv(str(cub200_tree / "CUB_200_2011" / "cub200.csv"))
    assert written.equals(cub200(str(cub200_tree)))
    main(
        [
            "dataset=csv",
            f"dataset.path={cub200_tree}/CUB_200_2011/cub200.csv",
            "trainer.workers=0",
            f"out={cub200_tree}/again",
        ]
    )
    assert csv(str(cub200_tree / "again" / "csv.csv")).equals(written)


def test_duplicates_between_train_and_test_are_named(
    cub200_tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cub200_tree / "CUB_200_2011"
    shutil.copy(folder / TRAIN / "Bird_H_0001.jpg", folder / TEST / "copied.jpg")
    smooth = Image.linear_gradient("L").rotate(30)  # noise would not survive compression
    smooth.save(folder / TRAIN / "smooth.png")
    smooth.resize((200, 200)).save(folder / TEST / "smaller.jpg", quality=60)
    found = prepare(cub200_tree)
    labels = {"test_label": "008.Bird_A", "train_label": "001.Bird_H"}
    assert found["exact_duplicates"] == [
        {"test": f"{TEST}/copied.jpg", "train": f"{TRAIN}/Bird_H_0001.jpg", **labels}
    ]
    (near,) = found["near_duplicates"]
    assert 0 <= near.pop("bits") <= 16
    assert near == {"test": f"{TEST}/smaller.jpg", "train": f"{TRAIN}/smooth.png", **labels}
    shown = capsys.readouterr().out
    assert "the same file as a training image: 1" in shown
    assert "look like a training image: 1" in shown


def test_the_bits_of_near_duplicates_can_be_chosen(cub200_tree: Path) -> None:
    assert len(prepare(cub200_tree, "bits=256")["near_duplicates"]) == 16


def test_unreadable_images_fail_the_command_and_are_listed(cub200_tree: Path) -> None:
    folder = cub200_tree / "CUB_200_2011"
    for name in ("Bird_H_0001.jpg", "Bird_H_0002.jpg"):
        content = (folder / TRAIN / name).read_bytes()
        (folder / TRAIN / name).write_bytes(content[: len(content) // 2])
    (folder / TEST / "Bird_A_0000.jpg").write_bytes(b"<html>")
    said = error_of([*SMALL, f"paths.data={cub200_tree}"])
    assert f"3 images cannot be read, the first is {TRAIN}/Bird_H_0001.jpg: OSError: " in said
    found = json.loads((folder / "cub200.json").read_text())
    assert [row["path"] for row in found["unreadable"]] == [
        f"{TRAIN}/Bird_H_0001.jpg",
        f"{TRAIN}/Bird_H_0002.jpg",
        f"{TEST}/Bird_A_0000.jpg",
    ]


def test_wrong_numbers_fail_the_command_after_everything_was_looked_at(cub200_tree: Path) -> None:
    said = error_of(["dataset=cub200", "trainer.workers=0", f"paths.data={cub200_tree}"])
    assert "train has 4 classes, expected 100; train has 16 images, expected 5864" in said
    found = json.loads((cub200_tree / "CUB_200_2011" / "cub200.json").read_text())
    assert len(found["differences"]) == 4
    assert found["expected"]["test"] == {"classes": 100, "images": 5924}


def test_worker_processes_read_the_same(cub200_tree: Path) -> None:
    alone = prepare(cub200_tree, "bits=256")
    assert prepare(cub200_tree, "bits=256", "trainer.workers=2") == alone


def test_the_files_go_elsewhere_if_asked_to(cub200_tree: Path, tmp_path: Path) -> None:
    before = sorted((cub200_tree / "CUB_200_2011").rglob("*"))
    main([*SMALL, f"paths.data={cub200_tree}", f"out={tmp_path}/new/folder"])
    assert csv(str(tmp_path / "new/folder/cub200.csv")).equals(cub200(str(cub200_tree)))
    assert sorted((cub200_tree / "CUB_200_2011").rglob("*")) == before


def test_a_folder_that_cannot_be_written_is_known_before_any_image_is_read(
    cub200_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        preparation, "read_fingerprints", lambda *_: pytest.fail("an image was read")
    )
    said = error_of(
        [*SMALL, f"paths.data={cub200_tree}", f"out={cub200_tree}/CUB_200_2011/images.txt/below"]
    )
    assert said.startswith("error: [Errno 20] Not a directory")
    assert said.endswith("name another folder, out=<folder>")


def test_a_dataset_without_a_folder_needs_one(tmp_path: Path) -> None:
    digits = ["dataset=digits", "trainer.workers=0"]
    assert "out=<folder>" in error_of(digits)
    main([*digits, f"out={tmp_path}"])
    assert len(csv(str(tmp_path / "digits.csv"))) == 1797


# Downloads


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    """A miniature CUB_200_2011.tgz."""
    write_cub200(tmp_path / "made")
    with tarfile.open(tmp_path / "made.tgz", "w:gz") as tar:
        tar.add(tmp_path / "made" / "CUB_200_2011", "CUB_200_2011")
    return (tmp_path / "made.tgz").read_bytes()


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Callable[[FileServer, bytes], None]:
    """Lets cub200 come from a server of this machine."""

    def offer(server: FileServer, content: bytes) -> None:
        known = Archive(
            f"{server.url}/cub.tgz",
            file="CUB_200_2011.tgz",
            folder="CUB_200_2011",
            size=len(content),
            checksum=f"sha256:{hashlib.sha256(content).hexdigest()}",
        )
        monkeypatch.setattr(acquisition, "archives_of", lambda _: [known])

    return offer


Offer = Callable[[FileServer, bytes], None]


def test_what_is_missing_is_fetched_once(tmp_path: Path, archive: bytes, offered: Offer) -> None:
    root = tmp_path / "data"
    with serving(FileServer({"/cub.tgz": archive}, breaks=[len(archive) // 2])) as server:
        offered(server, archive)
        first = prepare(root, "download=true")
        assert first["counts"]["train"] == {"classes": 4, "images": 16}
        assert len(server.asked) == 2
        assert prepare(root, "download=true") == first
        shutil.rmtree(root / "CUB_200_2011")  # the archive is still there
        assert prepare(root, "download=true") == first
        assert len(server.asked) == 2
    assert {path.name for path in root.iterdir()} == {"CUB_200_2011", "CUB_200_2011.tgz"}


def test_an_archive_that_was_put_there_is_checked(
    tmp_path: Path, archive: bytes, offered: Offer
) -> None:
    (tmp_path / "CUB_200_2011.tgz").write_bytes(archive[:-1] + b"x")
    with serving(FileServer({})) as server:
        offered(server, archive)
        said = error_of([*SMALL, f"paths.data={tmp_path}", "download=true"])
        assert "CUB_200_2011.tgz has the sha256" in said
        assert not server.asked
    assert not (tmp_path / "CUB_200_2011").exists()


def test_nothing_is_fetched_unasked(tmp_path: Path) -> None:
    said = error_of([*SMALL, f"paths.data={tmp_path}"])
    assert f"{tmp_path}/CUB_200_2011/images" in said
    assert said.endswith("Or say download=true.")


@pytest.mark.parametrize(
    ("dataset", "where"),
    [("cars196", "no longer serves the archives"), ("inshop", "request the In-shop Clothes")],
)
def test_what_cannot_be_fetched_says_what_to_put_where(
    tmp_path: Path, dataset: str, where: str
) -> None:
    said = error_of([f"dataset={dataset}", f"paths.data={tmp_path}", "download=true"])
    assert said.startswith(
        f"error: {dataset} cannot be downloaded by this command: none of {tmp_path}"
    )
    assert where in said


def test_without_a_data_folder_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DML_DATA", raising=False)
    assert "set DML_DATA" in error_of(["dataset=cub200", "download=true"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("downlaod=true", "downlaod"),
        ("download=perhaps", "download=perhaps: must be true or false"),
        ("bits=few", "bits=few: must be a whole number >= 0 and <= 256"),
        ("bits=true", "bits=true: must be a whole number"),
        ("bits=-1", "bits=-1: must be a whole number"),
        ("out=5", "out=5: must be text"),
        ("+bitz=3", "no YAML declares the key 'bitz'"),
        ("dataset=cub20", "did you mean 'cub200'"),
    ],
)
def test_a_typo_is_one_line(override: str, said: str) -> None:
    error = error_of([override])
    assert said in error
    assert "\n" not in error


# Where datasets can be had


def test_the_table_of_the_embedded_dataset_is_written_elsewhere(tmp_path: Path) -> None:
    """The repository keeps its archives alone, whatever the data folder is."""
    arguments = ["dataset=omniglot_small", "trainer.workers=0", f"paths.data={tmp_path}"]
    assert "name one, out=<folder>" in error_of(arguments)
    main([*arguments, f"out={tmp_path}/out"])
    assert len(csv(f"{tmp_path}/out/omniglot_small.csv")) == 2720 + 2120


def test_the_downloads_are_those_of_existing_datasets() -> None:
    assert DOWNLOADS
    assert set(DOWNLOADS) <= {path.stem for path in (CONF / "dataset").glob("*.yaml")}


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_download_is_verified(name: str) -> None:
    for archive in archives_of(name):
        algorithm, _, digest = (archive.checksum or "").partition(":")
        assert len(digest) == 2 * hashlib.new(algorithm).digest_size
        assert archive.size
        assert archive.url.startswith("http")
        assert archive.url.rpartition("/")[2] == archive.file.rpartition("/")[2]


def test_the_list_of_keys_has_no_other() -> None:
    own = yaml.safe_load((CONF / "prepare_data.yaml").read_text())
    assert not set(own) & set(yaml.safe_load((CONF / "config.yaml").read_text()))
