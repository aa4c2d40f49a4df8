"""Grocery Store in its official layout: a fixture, and the photographs where they are."""

from pathlib import Path

import pandas as pd
import pytest

from datasets.grocery_store import Roles, grocery_store
from datasets.table import DatasetError
from datasets.validation import fold
from tests.trees import write_image

CLASSES = (  # name, coarse class
    ("Golden-Delicious", "Apple"),
    ("Granny-Smith", "Apple"),
    ("Banana", "Banana"),
    ("Kiwi", "Kiwi"),
)
HEADER = (
    "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),"
    "Iconic Image Path (str),Product Description Path (str)"
)


def write_release(root: Path) -> Path:
    """A release of four classes: two train photographs, one val and one test photograph of each."""
    lines = [HEADER]
    for number, (name, coarse) in enumerate(CLASSES):
        iconic = f"/iconic-images-and-descriptions/Fruit/{name}/{name}_Iconic.jpg"
        lines.append(f"{name},{number},{coarse},0,{iconic},/x.txt")
        write_image(root / iconic.lstrip("/"), number)
    (root / "classes.csv").write_text("\n".join(lines))
    for part, count in (("train", 2), ("val", 1), ("test", 1)):
        rows = []
        for number, (name, _) in enumerate(CLASSES):
            for photo in range(count):
                path = f"{part}/Fruit/{name}/{name}_{photo:03}.jpg"
                write_image(root / path, number)
                rows.append(f"{path}, {number}, 0")
        (root / f"{part}.txt").write_text("\n".join(rows))
    return root


@pytest.fixture
def root(tmp_path: Path) -> str:
    write_release(tmp_path / "GroceryStoreDataset" / "dataset")
    return str(tmp_path)


def numbers(table: pd.DataFrame) -> tuple[int, ...]:
    test = table[table.split == "test"]
    return len(table) - len(test), len(test), int(test.is_query.sum()), int(test.is_gallery.sum())


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ("visits", (8, 8, 2, 6)),
        ("all", (8, 8, 8, 8)),
        ("iconic_queries", (8, 10, 2, 8)),
        ("iconic_gallery", (8, 10, 8, 2)),
    ],
)
def test_odd_classes_are_unseen_and_have_roles(
    root: str, roles: Roles, expected: tuple[int, ...]
) -> None:
    table = grocery_store(root, roles)
    assert numbers(table) == expected
    assert set(table.label[table.split == "train"]) == {"Golden-Delicious", "Banana"}
    assert set(table.category[table.label == "Granny-Smith"]) == {"Apple"}
    queries = table.path[(table.split == "test") & table.is_query & ~table.is_gallery]
    mark = {"visits": "/test/", "iconic_queries": "_Iconic.", "iconic_gallery": "_0"}.get(roles, "")
    assert queries.str.contains(mark, regex=False).all()


@pytest.mark.parametrize(
    ("roles", "queries", "gallery"),
    [("visits", 1, 3), ("all", 4, 4), ("iconic_queries", 4, 4)],
)
def test_validation_classes_have_the_roles_of_test_classes(
    root: str, roles: Roles, queries: int, gallery: int
) -> None:
    table = fold(grocery_store(root, roles), index=0, folds=2, shuffle=False, seed=0)
    val = table[table.split == "val"]
    assert val.label.nunique() == 1
    assert (len(val), int(val.is_query.sum()), int(val.is_gallery.sum())) == (4, queries, gallery)
    if roles == "visits":
        assert val.path[val.is_query].str.contains("/test/", regex=False).all()


def test_the_folder_itself_may_be_given_and_counts_are_checked(tmp_path: Path) -> None:
    write_release(tmp_path / "grocery_store")
    with pytest.raises(DatasetError, match="train has 8 images, expected 2781"):
        grocery_store(str(tmp_path), counts={"train": {"images": 2781}})
    (tmp_path / "grocery_store" / "val.txt").write_text("val/a.jpg, 9, 0")
    with pytest.raises(DatasetError, match=r"val\.txt has the class 9"):
        grocery_store(str(tmp_path))
    with pytest.raises(DatasetError, match="clone https"):
        grocery_store(str(tmp_path / "elsewhere"))


def test_the_release_has_its_numbers(grocery_store_root: str) -> None:
    counts = {"train": {"classes": 41, "images": 2781}, "test": {"classes": 40, "images": 2640}}
    assert numbers(grocery_store(grocery_store_root, "visits", counts)) == (2781, 2640, 1197, 1443)
    assert numbers(grocery_store(grocery_store_root, "iconic_queries", counts))[2:] == (40, 2640)
    assert grocery_store(grocery_store_root).category.nunique() == 43
