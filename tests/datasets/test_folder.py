"""Folders of images become tables, with or without folders of splits."""

from pathlib import Path

import pytest

from datasets.folder import folder
from datasets.table import DatasetError
from tests.trees import write_image


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    for name in ("ant", "bee", "cat", "dog"):
        for number in range(4):
            write_image(tmp_path / "pets" / name / f"{number}.png", 0)
    return tmp_path / "pets"


def test_a_fraction_of_the_classes_is_for_testing(classes: Path) -> None:
    table = folder(str(classes), test_fraction=0.25)
    assert len(table) == 16
    assert table[table.split == "test"].label.nunique() == 1
    assert table[["is_query", "is_gallery"]].all(axis=None)
    assert not table.label[table.split == "test"].isin(table.label[table.split == "train"]).any()


def test_queries_are_a_fraction_of_each_test_class(classes: Path) -> None:
    table = folder(str(classes), query_fraction=0.25)
    test = table[table.split == "test"]
    assert (test.groupby("label")["is_query"].sum() == 1).all()
    assert (test["is_query"] != test["is_gallery"]).all()
    assert table.loc[table.split == "train", ["is_query", "is_gallery"]].all(axis=None)


def test_folders_of_splits_are_taken(tmp_path: Path) -> None:
    for split, name in (("train", "ant"), ("valid", "ant"), ("test", "bee")):
        write_image(tmp_path / split / name / "0.png", 0)
    table = folder(str(tmp_path))
    assert table[["split", "label"]].to_numpy().tolist() == [
        ["test", "bee"],
        ["train", "ant"],
        ["val", "ant"],
    ]


def test_classes_beside_folders_of_splits_are_not_left_out(classes: Path) -> None:
    write_image(classes / "test" / "eel" / "0.png", 0)
    with pytest.raises(DatasetError, match="folders of splits, test, and images in ant, bee, cat"):
        folder(str(classes))


def test_what_is_no_such_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is no folder; dataset"):
        folder(str(tmp_path / "nowhere"))
    write_image(tmp_path / "0.png", 0)
    with pytest.raises(DatasetError, match="has no images <class>/<image>"):
        folder(str(tmp_path))
