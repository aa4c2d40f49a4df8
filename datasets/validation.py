"""Setting part of the training split aside: functions from a table to a table.

Some training rows become split `val`; there, every row is query and gallery. `seed` is the
split's own: runs that differ in their seed only still validate on the same images.
"""

from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Ge

from core.ranges import NonNegativeInt, OpenFraction, Seed
from datasets.table import DatasetError, Table, in_order


def none(table: Table) -> Table:
    """Leaves the table as it is; a split named val in a CSV stays."""
    return table


def classes(table: Table, fraction: OpenFraction, shuffle: bool, seed: Seed) -> Table:
    """A share of the training classes, so that validation classes are unseen like test classes.

    Each super-class gives its share, except that it keeps at least one class. Without `shuffle`
    the last classes in order validate: Roth et al. 2020 at fraction 0.2.

    Args:
        table: the dataset.
        fraction: share of the classes that validates, in (0, 1).
        shuffle: whether `seed` chooses the classes.
        seed: of the choice.
    """
    rows = training_rows(table).drop_duplicates("label")
    firsts = rows.set_index("label").loc[in_order(rows["label"])]
    chosen = last_share(firsts["category"], fraction, shuffle, seed)
    return mark(table, table["label"].isin(chosen))


def samples(table: Table, fraction: OpenFraction, shuffle: bool, seed: Seed) -> Table:
    """A share of the images of every training class; each keeps at least one for training."""
    chosen = last_share(training_rows(table)["label"], fraction, shuffle, seed)
    return mark(table, table.index.isin(chosen))


def fold(
    table: Table, index: NonNegativeInt, folds: Annotated[int, Ge(2)], shuffle: bool, seed: Seed
) -> Table:
    """Fold `index` (from 0) of `folds` over the training classes: each class validates once."""
    labels = np.array(in_order(training_rows(table)["label"]), dtype=object)
    if not 0 <= index < folds <= len(labels):
        raise DatasetError(f"no fold {index} of {folds} over {len(labels)} training classes")
    if shuffle:
        np.random.default_rng(seed).shuffle(labels)
    return mark(table, table["label"].isin(np.array_split(labels, folds)[index]))


def training_rows(table: Table) -> Table:
    if (table["split"] == "val").any():
        raise DatasetError("the table has a split named val; choose validation=none to use it")
    return table[table["split"] == "train"]


def last_share(groups: pd.Series, fraction: OpenFraction, shuffle: bool, seed: Seed) -> pd.Index:
    """Index of the last `fraction` of each group, after shuffling if asked to.

    A group of n keeps its first int((1 - fraction) · n) members, but at least one.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction}")
    if shuffle:
        groups = groups.sample(frac=1, random_state=np.random.default_rng(seed))
    members = groups.groupby(groups)
    kept = (1 - fraction) * members.transform("size") + 1e-9  # 0.7 · 10 is 7, not 6.99…
    return groups.index[members.cumcount() >= kept.astype(int).clip(lower=1)]


def mark(table: Table, chosen: pd.Series | np.ndarray) -> Table:
    """The training rows among the chosen as split `val`."""
    marked = chosen & (table["split"] == "train")
    if not marked.any():
        raise DatasetError("the validation split would be empty: too few classes or images")
    return table.assign(
        split=table["split"].mask(marked, "val"),
        is_query=table["is_query"] | marked,
        is_gallery=table["is_gallery"] | marked,
    )
