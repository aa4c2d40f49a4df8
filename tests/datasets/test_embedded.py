"""The embedded copy of Omniglot: the real archives, read where the data folder has none."""

import hashlib
import shutil
from pathlib import Path

import pytest

from datasets.embedded import omniglot_root as parent_of
from datasets.omniglot_small import omniglot_small

SHA256 = {  # of url_checksums/omniglot.txt of TensorFlow Datasets
    "images_background_small1.zip": (
        "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4"
    ),
    "images_background_small2.zip": (
        "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f"
    ),
}


@pytest.mark.parametrize("name", SHA256)
def test_the_archives_are_those_of_the_authors(omniglot_root: str, name: str) -> None:
    content = (Path(omniglot_root) / "omniglot" / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256[name]


def test_their_licence_is_beside_them(omniglot_root: str) -> None:
    text = (Path(omniglot_root) / "omniglot" / "LICENSE").read_text()
    assert "The MIT License" in text
    assert "Copyright (c) 2015 Brenden Lake" in text


@pytest.fixture
def own(tmp_path: Path, omniglot_root: str) -> Path:
    """A data folder with a copy of its own."""
    shutil.copytree(Path(omniglot_root) / "omniglot", tmp_path / "omniglot")
    return tmp_path


def test_the_data_folder_comes_first(own: Path, omniglot_root: str) -> None:
    table, embedded = omniglot_small(str(own)), omniglot_small(None)
    assert table["path"].str.startswith(f"{own}/omniglot/").all()
    assert embedded["path"].str.startswith(f"{omniglot_root}/omniglot/").all()
    assert [path.removeprefix(str(own)) for path in table["path"]] == [
        path.removeprefix(omniglot_root) for path in embedded["path"]
    ]


def test_a_data_folder_that_lacks_an_archive_is_passed_over(own: Path, omniglot_root: str) -> None:
    assert parent_of(str(own)) == own
    (own / "omniglot" / "images_background_small2.zip").unlink()
    for root in (str(own), str(own / "nowhere"), None):
        assert parent_of(root) == Path(omniglot_root)
