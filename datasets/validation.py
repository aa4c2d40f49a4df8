"""Validation splits: functions that move some training rows of a table to the split `val`.

Each row of this split is both query and gallery, unless the dataset gives roles to its training
rows, too. `seed` belongs to the split, not to the run: runs that differ only in their seed validate
on the same images.
"""

from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Ge

from core.ranges import NonNegativeInt, OpenFraction, Seed
from datasets.table import DatasetError, Table, in_order


def none(table: Table) -> Table:
    """No validation split: returns the table unchanged; a split named val in a CSV is kept."""
    return table


def classes(table: Table, fraction: OpenFraction, shuffle: bool, seed: Seed) -> Table:
    """Class-disjoint validation: a fraction of the training classes validates, unseen in training.

    The fraction is taken of each super-class, which keeps at least one class. Without `shuffle` the
    last classes in order validate, as in Roth et al. 2020 with fraction 0.2.

    Args:
        table: the dataset.
        fraction: of the classes, in (0, 1).
        shuffle: whether to choose the classes at random.
        seed: of the random choice.
    """
    rows = training_rows(table).drop_duplicates("label")
    firsts = rows.set_index("label").loc[in_order(rows["label"])]
    chosen = last_fraction(firsts["category"], fraction, shuffle, seed)
    return mark(table, table["label"].isin(chosen))


def samples(table: Table, fraction: OpenFraction, shuffle: bool, seed: Seed) -> Table:
    """Validation images: a fraction of each training class, which keeps at least one image."""
    chosen = last_fraction(training_rows(table)["label"], fraction, shuffle, seed)
    return mark(table, table.index.isin(chosen))


def fold(
    table: Table, index: NonNegativeInt, folds: Annotated[int, Ge(2)], shuffle: bool, seed: Seed
) -> Table:
    """Cross-validation: fold `index` (from 0) of `folds` over the training classes validates."""
    labels = np.array(in_order(training_rows(table)["label"]), dtype=object)
    if not 0 <= index < folds <= len(labels):
        raise DatasetError(f"no fold {index} of {folds} over {len(labels)} training classes")
    if shuffle:
        np.random.default_rng(seed).shuffle(labels)
    return mark(table, table["label"].isin(np.array_split(labels, folds)[index]))


def training_rows(table: Table) -> Table:
    """Training rows of a table that has no validation split yet."""
    if (table["split"] == "val").any():
        raise DatasetError("the table has a split named val; choose validation=none to use it")
    return table[table["split"] == "train"]


def last_fraction(groups: pd.Series, fraction: OpenFraction, shuffle: bool, seed: Seed) -> pd.Index:
    """Index of the last `fraction` of each group, after a shuffle if `shuffle`.

    The first int((1 - fraction) · n) of the n members of a group are left out, at least one.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction}")
    if shuffle:
        groups = groups.sample(frac=1, random_state=np.random.default_rng(seed))
    members = groups.groupby(groups)
    kept = (1 - fraction) * members.transform("size") + 1e-9  # 0.7 · 10 is 7, not 6.99…
    return groups.index[members.cumcount() >= kept.astype(int).clip(lower=1)]


def mark(table: Table, chosen: pd.Series | np.ndarray) -> Table:
    """Move the chosen training rows to the split `val`.

    They keep the roles that the dataset gives them; images without a role become both.
    """
    marked = chosen & (table["split"] == "train")
    if not marked.any():
        raise DatasetError("the validation split would be empty: too few classes or images")
    both = marked & ~table["is_query"] & ~table["is_gallery"]
    return table.assign(
        split=table["split"].mask(marked, "val"),
        is_query=table["is_query"] | both,
        is_gallery=table["is_gallery"] | both,
    )
