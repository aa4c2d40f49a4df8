"""Dataset from a folder of images: one folder for each class."""

from pathlib import Path

import pandas as pd

from core.ranges import OpenFraction, Seed
from datasets.folders import class_folders, images_by_class
from datasets.random_split import random_queries, split_by_classes
from datasets.table import Counts, DatasetError, Table, check_counts, make_table, read_from

SPLIT_OF = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def folder(
    path: str,
    counts: Counts | None = None,
    name: str | None = None,  # noqa: ARG001
    test_fraction: OpenFraction = 0.5,
    query_fraction: OpenFraction | None = None,
    seed: Seed = 0,
) -> Table:
    """Folder dataset: reads `path`/<class>/<image>, or `path`/<split>/<class>/<image>.

    Args:
        path: holds one folder for each class, or folders train, val (optional) and test of these.
        counts: expected numbers of classes and images; see `check_counts`.
        name: of the dataset in run folders and results, the name of the folder if None; does not
            change the table.
        test_fraction: of the classes, if there are no folders of splits; see `split_by_classes`.
        query_fraction: of the images of each test class; see `random_queries`. None makes each test
            image a query and a gallery image.
        seed: of both choices.

    Raises:
        DatasetError: there is no such folder, there are no images in it, or there are folders of
            classes beside those of splits.
    """
    root = Path(path).expanduser().absolute()
    if not root.is_dir():
        raise DatasetError(f"{root} is no folder; dataset.path names a folder of class folders")
    splits = split_folders(root)
    rows = pd.concat([read_classes(inner) for inner in splits or [root]], ignore_index=True)
    if rows.empty:
        raise DatasetError(
            f"{root} has no images <class>/<image>, with or without train, val and test above"
        )
    if splits:
        rows["split"] = rows["split"].map(SPLIT_OF)
    else:
        rows["split"] = split_by_classes(rows["label"], test_fraction, seed)
    is_query = is_gallery = pd.Series(True, index=rows.index)
    if query_fraction is not None:
        chosen = random_queries(rows["label"], query_fraction, seed)
        others = rows["split"] != "test"
        is_query, is_gallery = others | chosen, others | ~chosen
    table = make_table(
        rows["path"], rows["label"], rows["split"], is_query=is_query, is_gallery=is_gallery
    )
    return check_counts(read_from(table, *folders_of(root, splits)), counts)


def split_folders(root: Path) -> list[Path]:
    """The folders train, val and test, if there are any.

    Raises:
        DatasetError: there are images in other folders beside them.
    """
    inner = class_folders(root)
    splits = [folder for folder in inner if folder.name in SPLIT_OF]
    classes = {Path(path).parent.name for path in images_by_class(root)[0]}
    if splits and classes:
        raise DatasetError(
            f"{root} has folders of splits, {', '.join(folder.name for folder in splits)}, and "
            f"images in {', '.join(sorted(classes))}; it must have classes alone, or splits alone "
            "with the classes in them"
        )
    return splits


def read_classes(inner: Path) -> pd.DataFrame:
    """Paths and labels of the images of one split."""
    paths, labels = images_by_class(inner)
    return pd.DataFrame({"path": paths, "label": labels, "split": inner.name}, dtype=str)


def folders_of(root: Path, splits: list[Path]) -> list[Path]:
    """All folders whose content decides the table."""
    parents = splits or [root]
    return [root, *splits, *(inner for parent in parents for inner in class_folders(parent))]
