"""Grocery Store: smartphone photos of fruit, vegetables and packages, 81 products.

Klasson et al., A Hierarchical Grocery Store Image Dataset with Visual and Semantic Labels, WACV
2019, https://arxiv.org/abs/1901.00711.
"""

from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from datasets.folders import check_files, find
from datasets.index_file import read_rows
from datasets.table import Counts, DatasetError, Table, check_counts, make_table, read_from

Roles = Literal["visits", "all", "iconic_queries", "iconic_gallery"]
FOLDERS = ("grocery_store", "GroceryStoreDataset", "grocery_store/dataset", "dataset")
OBTAIN = (
    "It should hold classes.csv, train.txt, val.txt, test.txt and their folders: clone "
    "https://github.com/marcusklasson/GroceryStoreDataset there."
)
COLUMNS = (
    "Class Name (str)",
    "Class ID (int)",
    "Coarse Class Name (str)",
    "Iconic Image Path (str)",
)
PARTS = ("train", "val", "test")  # of the authors, who classify seen classes: other visits to shops


def grocery_store(root: str | None, roles: Roles = "visits", counts: Counts | None = None) -> Table:
    """Grocery Store: products of even number for training, those of odd number for testing.

    All photos of a product, from the authors' train, val and test part, are in one split, so
    that the test products are unseen. The coarse class, such as Apple, is the category.

    Args:
        root: parent of the dataset's folder, a clone of the release or its folder `dataset`.
        roles: of the photos of a split that is evaluated. `visits`: those of the authors' test part
            are the queries, the others the gallery; the parts were taken at different visits to
            shops. `all`: each is both, so that many queries find a near copy. `iconic_queries`: the
            picture of each test product, as a web shop shows it, searches all photos;
            `iconic_gallery`: all photos search these pictures; training and validation photos are
            then both.
        counts: expected numbers of classes and photos; see `check_counts`.
    """
    if roles not in get_args(Roles):
        raise ValueError(f"roles must be one of {', '.join(get_args(Roles))}, got {roles}")
    index = find(root, FOLDERS, ["dataset/classes.csv", "classes.csv"], OBTAIN)
    folder, classes = index.parent, read_classes(index)
    photos = pd.concat([read_part(folder, part, classes) for part in PARTS])
    rows = pd.concat([photos, iconic_pictures(classes)]) if "iconic" in roles else photos
    is_query, is_gallery = roles_of(rows, roles)
    train = rows["id"] % 2 == 0
    if "iconic" in roles:  # pictures are those of test products only
        is_query, is_gallery = train | is_query, train | is_gallery
    table = make_table(
        f"{folder}/" + rows["path"],
        rows["label"],
        train.map({True: "train", False: "test"}),
        category=rows["category"],
        is_query=is_query,
        is_gallery=is_gallery,
    ).reset_index(drop=True)
    sources = [index, *(folder / f"{part}.txt" for part in PARTS)]
    check_counts(table[(rows["part"] != "iconic").to_numpy()], counts)
    return check_files(read_from(table, *sources))


def read_classes(file: Path) -> pd.DataFrame:
    """Read classes.csv: label, category and iconic picture by the number of the class."""
    rows = read_rows(file, COLUMNS)[list(COLUMNS)]
    classes = rows.set_axis(["label", "id", "category", "iconic"], axis=1)
    return classes.assign(id=classes["id"].astype(int)).set_index("id")


def read_part(folder: Path, part: str, classes: pd.DataFrame) -> pd.DataFrame:
    """Read the photos of a part; a line is `path, class, coarse class`."""
    file = folder / f"{part}.txt"
    try:
        rows = pd.read_csv(
            file, header=None, names=["path", "id", "coarse"], skipinitialspace=True
        ).astype({"path": str, "id": int})
    except (OSError, ValueError, TypeError) as error:
        raise DatasetError(f"{file} cannot be read: {error}") from error
    if unknown := sorted(set(rows["id"]) - set(classes.index)):
        raise DatasetError(f"{file} has the class {unknown[0]}, which is not in classes.csv")
    return rows[["path", "id"]].join(classes[["label", "category"]], on="id").assign(part=part)


def iconic_pictures(classes: pd.DataFrame) -> pd.DataFrame:
    """The pictures of the test classes, one of each."""
    test = classes[classes.index % 2 == 1].reset_index()
    return test.assign(path=test["iconic"].str.lstrip("/"), part="iconic").drop(columns="iconic")


def roles_of(rows: pd.DataFrame, roles: Roles) -> tuple[pd.Series, pd.Series]:
    """Whether each image is a query, and whether it is in the gallery."""
    if roles == "all":
        every = pd.Series(True, index=rows.index)
        return every, every
    first = rows["part"] == ("test" if roles == "visits" else "iconic")
    return (~first, first) if roles == "iconic_gallery" else (first, ~first)
