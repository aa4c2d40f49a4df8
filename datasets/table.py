"""Every dataset is a table with one row per image; this is what a table must be.

| column     | meaning                                                                          |
|------------|----------------------------------------------------------------------------------|
| path       | a file, a member of an archive (`some.zip/folder/a.png`) or a `data:` URI        |
| label      | the class, as the source names it: text or a number                              |
| split      | train, val or test                                                               |
| is_query   | whether the image searches when its split is evaluated                           |
| is_gallery | whether the image can be found; usually both are true (one set, searched by itself) |
| category   | super-class, empty if there is none                                              |
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from core.errors import UserError
from core.ranges import NonNegativeInt

Table = pd.DataFrame
# such as {"train": {"classes": 100, "images": 5864}, ...}
Counts = Mapping[str, Mapping[str, NonNegativeInt | None]]


class DatasetError(UserError):
    """The data on disk is missing, broken or not what it should be; the message says which."""


def make_table(
    path: ArrayLike,
    label: ArrayLike,
    split: ArrayLike,
    *,
    category: ArrayLike = "",
    is_query: ArrayLike = True,
    is_gallery: ArrayLike = True,
) -> Table:
    """A table from its columns; a single value stands for the whole column."""
    columns: dict[str, Any] = {
        "path": path,
        "label": label,
        "split": split,
        "is_query": is_query,
        "is_gallery": is_gallery,
        "category": category,
    }
    return pd.DataFrame(columns).astype({"path": str, "split": str, "category": str})


def split_by_halves(labels: ArrayLike) -> np.ndarray:
    """The first half of the sorted classes trains, the second half tests (CUB200, CARS196)."""
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    return np.where(codes < len(classes) // 2, "train", "test")


def check_counts(table: Table, counts: Counts | None) -> Table:
    """Returns the table if it has the published numbers of classes and images.

    Args:
        table: any table.
        counts: classes and images of each part: train, val, test, or query and gallery of the
            test split. Parts and numbers that are left out or None are not checked.

    Raises:
        DatasetError: naming every number that differs, the found and the expected one.
    """
    if differences := count_differences(table, counts):
        raise DatasetError(f"{'; '.join(differences)} (dataset.counts=null accepts any number)")
    return table


def count_differences(table: Table, counts: Counts | None) -> list[str]:
    """What `check_counts` would complain of, one text per number."""
    differences = []
    for part, expected in (counts or {}).items():
        found = count(table, part)
        differences += [
            f"{part} has {found[unit]} {unit}, expected {number}"
            for unit, number in expected.items()
            if number is not None and number != found[unit]
        ]
    return differences


def count(table: Table, part: str) -> dict[str, int]:
    """How many classes and images a part of the table has."""
    rows = rows_of(table, part)
    return {"classes": rows["label"].nunique(), "images": len(rows)}


def rows_of(table: Table, part: str) -> Table:
    """The rows of a split, or the queries or the gallery of the test split."""
    if part in ("query", "gallery"):
        return table[(table["split"] == "test") & table[f"is_{part}"]]
    return table[table["split"] == part]
