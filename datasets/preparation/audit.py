"""What there is to say about the images of a dataset, once each of them was read."""

from collections.abc import Sequence
from typing import Any

from datasets.preparation.duplicates import Duplicate, exact, near
from datasets.preparation.fingerprint import Fingerprint
from datasets.table import Counts, Table, count, count_differences


def audit(
    table: Table, fingerprints: Sequence[Fingerprint], counts: Counts | None, bits: int
) -> dict[str, Any]:
    """Numbers, unreadable images, and test images that are in the training split too.

    A test image is listed once, beside one training image: the same file if there is one, else the
    most similar, if at most `bits` of their perceptual hashes differ.

    Args:
        table: see datasets/table.py.
        fingerprints: of its rows.
        counts: the published numbers; None if there are none.
        bits: 0 to 256.
    """
    read = {name: [getattr(one, name) for one in fingerprints] for name in Fingerprint._fields}
    rows = table.assign(**read)
    train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    same = exact(test["content"].tolist(), train["content"].tolist())
    left = test.drop(index=test.index[[duplicate.query for duplicate in same]])
    alike = near(left["look"].tolist(), train["look"].tolist(), bits)
    return {
        "counts": {part: count(table, part) for part in parts(table)},
        "differences": count_differences(table, counts),
        "unreadable": rows.loc[rows["problem"] != "", ["path", "problem"]].to_dict("records"),
        "exact_duplicates": [pair(test, train, duplicate) for duplicate in same],
        "near_duplicates": [pair(left, train, duplicate) for duplicate in alike],
    }


def parts(table: Table) -> list[str]:
    """The splits that there are; query and gallery too, where some test images are only one."""
    splits = [split for split in ("train", "val", "test") if (table["split"] == split).any()]
    roles = table.loc[table["split"] == "test", ["is_query", "is_gallery"]]
    return splits if roles.all(axis=None) else [*splits, "query", "gallery"]


def pair(test: Table, train: Table, duplicate: Duplicate) -> dict[str, Any]:
    """The two images, their classes, and in how many bits of 256 they differ."""
    asked, found = test.iloc[duplicate.query], train.iloc[duplicate.reference]
    named = {
        "test": asked["path"],
        "train": found["path"],
        "test_label": str(asked["label"]),
        "train_label": str(found["label"]),
    }
    return named if duplicate.bits is None else named | {"bits": duplicate.bits}
