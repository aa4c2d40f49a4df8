"""Omniglot, the two small background sets: handwritten characters with 20 images each."""

from pathlib import Path

import pandas as pd

from datasets.folders import find
from datasets.reader import members
from datasets.table import Counts, Table, check_counts, make_table, read_from

OBTAIN = (
    "It should hold images_background_small1.zip and images_background_small2.zip of "
    "https://github.com/brendenlake/omniglot/tree/master/python, not unpacked."
)
TEST_ALPHABETS = ("Japanese_(katakana)", "Sanskrit", "Tagalog")  # Latin and Greek are in both files


def omniglot_small(root: str | None, counts: Counts | None = None) -> Table:
    """Omniglot small: characters of `small1` for training, alphabets only in `small2` for testing.

    The images are read from the archives. The alphabet is the category.

    Args:
        root: parent of the folder `omniglot`.
        counts: expected numbers of classes and images; see `check_counts`.
    """
    train = find(root, ["omniglot"], ["images_background_small1.zip"], OBTAIN)
    test = find(root, ["omniglot"], ["images_background_small2.zip"], OBTAIN)
    table = pd.concat([read_archive(train, "train"), read_archive(test, "test")], ignore_index=True)
    unseen = table["category"].isin(TEST_ALPHABETS)
    rows = table[unseen | (table["split"] == "train")].reset_index(drop=True)
    return check_counts(read_from(rows, train, test), counts)


def read_archive(file: Path, split: str) -> Table:
    """Table of an archive whose members are <archive>/<alphabet>/<character>/<image>.png."""
    names = sorted(name for name in members(file) if name.endswith(".png"))
    alphabets = [name.split("/")[1] for name in names]
    characters = ["/".join(name.split("/")[1:3]) for name in names]
    return make_table([f"{file}/{name}" for name in names], characters, split, category=alphabets)
