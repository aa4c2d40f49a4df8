"""Audit of a dataset: counts, unreadable images and test images that are also in training."""

from collections.abc import Sequence
from typing import Any

from datasets.preparation.duplicates import Duplicate, exact, near
from datasets.preparation.fingerprint import Fingerprint
from datasets.table import Counts, Table, count, count_differences


def audit(
    table: Table, fingerprints: Sequence[Fingerprint], counts: Counts | None, bits: int
) -> dict[str, Any]:
    """Audit a dataset: counts, unreadable images, and test images that are also in training.

    A test image is listed once, with one training image: an identical file if there is one, else
    the most similar image, if at most `bits` of their perceptual hashes differ.

    Args:
        table: see datasets/table.py.
        fingerprints: of its rows.
        counts: expected counts; None if there are none.
        bits: 0 to 256.
    """
    columns = {name: [getattr(one, name) for one in fingerprints] for name in Fingerprint._fields}
    rows = table.assign(**columns)
    train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    identical = exact(test["content"].tolist(), train["content"].tolist())
    others = test.drop(index=test.index[[duplicate.query for duplicate in identical]])
    test_hashes, train_hashes = (part["perceptual_hash"].tolist() for part in (others, train))
    similar = near(test_hashes, train_hashes, bits)
    return {
        "counts": {part: count(table, part) for part in parts(table)},
        "differences": count_differences(table, counts),
        "unreadable": rows.loc[rows["problem"] != "", ["path", "problem"]].to_dict("records"),
        "exact_duplicates": [pair(test, train, duplicate) for duplicate in identical],
        "near_duplicates": [pair(others, train, duplicate) for duplicate in similar],
    }


def parts(table: Table) -> list[str]:
    """Parts of a table: its splits, and query and gallery if some test images are only one."""
    splits = [split for split in ("train", "val", "test") if (table["split"] == split).any()]
    roles = table.loc[table["split"] == "test", ["is_query", "is_gallery"]]
    return splits if roles.all(axis=None) else [*splits, "query", "gallery"]


def pair(test: Table, train: Table, duplicate: Duplicate) -> dict[str, Any]:
    """Paths and labels of two images, and the number of bits of 256 in which they differ."""
    query, reference = test.iloc[duplicate.query], train.iloc[duplicate.reference]
    record = {
        "test": query["path"],
        "train": reference["path"],
        "test_label": str(query["label"]),
        "train_label": str(reference["label"]),
    }
    return record if duplicate.bits is None else record | {"bits": duplicate.bits}
