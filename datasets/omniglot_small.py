"""Omniglot, the two small background sets: handwritten characters with 20 images each."""

from pathlib import Path

import pandas as pd

from datasets.embedded import OMNIGLOT, TEST, TRAIN, omniglot_root
from datasets.reader import members
from datasets.table import Counts, Table, check_counts, make_table, read_from

TEST_ALPHABETS = ("Japanese_(katakana)", "Sanskrit", "Tagalog")  # Latin and Greek are in both files


def omniglot_small(root: str | None, counts: Counts | None = None) -> Table:
    """Omniglot small: characters of `small1` for training, alphabets only in `small2` for testing.

    The images are read from the archives. The alphabet is the category.

    Args:
        root: parent of the folder `omniglot`; without both archives there, the embedded copy is
            read.
        counts: expected numbers of classes and images; see `check_counts`.
    """
    folder = omniglot_root(root) / OMNIGLOT
    train, test = folder / TRAIN, folder / TEST
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
