"""Table of a dataset, one row per image, with these columns.

| column     | meaning                                                                          |
|------------|----------------------------------------------------------------------------------|
| path       | a file, a member of an archive (`some.zip/folder/a.png`) or a `data:` URI        |
| label      | the class as text, as the source names it: 4 and 04 are two classes              |
| split      | train, val or test                                                               |
| is_query   | whether the image is a query when its split is evaluated                         |
| is_gallery | whether the image is in the gallery; usually an image is both                    |
| category   | super-class, empty if there is none                                              |
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from core.errors import UserError
from core.ranges import NonNegativeInt

Table = pd.DataFrame
# such as {"train": {"classes": 100, "images": 5864}, ...}
Counts = Mapping[str, Mapping[str, NonNegativeInt | None]]
TEXT = ("path", "label", "split", "category")
SPLITS = ("train", "val", "test")
NUMERAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


class DatasetError(UserError):
    """Dataset error: data is missing, damaged or not as expected; the message says which."""


def make_table(
    path: ArrayLike,
    label: ArrayLike,
    split: ArrayLike,
    *,
    category: ArrayLike = "",
    is_query: ArrayLike = True,
    is_gallery: ArrayLike = True,
) -> Table:
    """Make a table from its columns; a single value fills the whole column."""
    columns: dict[str, Any] = {
        "path": path,
        "label": label,
        "split": split,
        "is_query": is_query,
        "is_gallery": is_gallery,
        "category": category,
    }
    return pd.DataFrame(columns).astype(dict.fromkeys(TEXT, str))


def read_from(table: Table, *sources: Path) -> Table:
    """Record the index files and folders from which a table is read in `table.attrs["sources"]`.

    If these and the image files are unchanged, the table is the same and need not be read again.
    """
    table.attrs["sources"] = [str(source) for source in sources]
    return table


def in_order(labels: Iterable[object]) -> list[str]:
    """Distinct labels in the order of the classes: by number if all are numerals, 9 before 10.

    If one label is not a numeral, such as A16, all are in alphabetical order.

    >>> in_order(["10", "9", "09", "10"])
    ['09', '9', '10']
    >>> in_order(["10", "9", "A16"])
    ['10', '9', 'A16']
    """
    distinct = sorted(set(map(str, labels)))
    if all(NUMERAL.fullmatch(label) for label in distinct):
        return sorted(distinct, key=Decimal)
    return distinct


def class_numbers(labels: Iterable[object]) -> np.ndarray:
    """Index of each label in the order of the classes, int64 (S,) in 0..C-1."""
    numbers = {label: number for number, label in enumerate(in_order(labels))}
    return np.array([numbers[str(label)] for label in labels], np.int64)


def split_by_halves(labels: Iterable[object]) -> np.ndarray:
    """Splits with the first half of the classes for training, the second for testing."""
    numbers = class_numbers(labels)
    return np.where(numbers < len(set(numbers)) // 2, "train", "test")


def check_counts(table: Table, counts: Counts | None) -> Table:
    """Check that a table has the expected numbers of classes and images, and return it.

    Args:
        table: any table.
        counts: classes and images of each part: train, val, test, or query and gallery of the
            test split. Parts and numbers that are left out or None are not checked.

    Raises:
        DatasetError: some numbers differ; the message names each with the expected one.
    """
    if differences := count_differences(table, counts):
        raise DatasetError(f"{'; '.join(differences)} (dataset.counts=null accepts any number)")
    return table


def count_differences(table: Table, counts: Counts | None) -> list[str]:
    """Differences from the expected counts, one text per number."""
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
    """Numbers of classes and images of a part of the table."""
    rows = rows_of(table, part)
    return {"classes": rows["label"].nunique(), "images": len(rows)}


def rows_of(table: Table, part: str) -> Table:
    """Rows of a split, or of the queries or the gallery of the test split."""
    if part in ("query", "gallery"):
        return table[(table["split"] == "test") & table[f"is_{part}"]]
    return table[table["split"] == part]
