"""Setting training rows aside, and nothing else."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest

from datasets.table import DatasetError, Table, make_table
from datasets.validation import classes, fold, none, samples

SPLITS: dict[str, Callable[..., Table]] = {
    "classes": partial(classes, fraction=0.2, shuffle=True),
    "samples": partial(samples, fraction=0.2, shuffle=True),
    "fold": partial(fold, index=1, folds=4, shuffle=True),
}


def example(num_classes: int = 20, category: object = "") -> Table:
    """Class c has 1 + (c mod 10) images; the upper half tests, as query or gallery."""
    label = np.repeat(np.arange(num_classes), 1 + np.arange(num_classes) % 10)
    label = np.random.default_rng(0).permutation(label)
    is_test = label >= num_classes // 2
    return make_table(
        [f"{number}.jpg" for number in range(len(label))],
        label,
        np.where(is_test, "test", "train"),
        is_query=~is_test | (np.arange(len(label)) % 2 == 0),
        is_gallery=~is_test | (np.arange(len(label)) % 2 == 1),
        category=category,
    )


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
def test_only_training_rows_change_and_only_their_split(split: Callable[..., Table]) -> None:
    table = example()
    before = table.copy()
    result = split(table, seed=0)
    pd.testing.assert_frame_equal(table, before)
    changed = result["split"] != table["split"]
    assert changed.any()
    assert set(table["split"][changed]) == {"train"}
    assert set(result["split"][changed]) == {"val"}
    assert result[changed][["is_query", "is_gallery"]].all(axis=None)
    pd.testing.assert_frame_equal(result.drop(columns="split"), table.drop(columns="split"))


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
def test_the_seed_decides(split: Callable[..., Table]) -> None:
    pd.testing.assert_frame_equal(split(example(), seed=3), split(example(), seed=3))
    assert any(not split(example(), seed=3).equals(split(example(), seed=s)) for s in range(5))


def labels_of(table: Table, split: str) -> set[int]:
    return set(table["label"][table["split"] == split].astype(int))


@pytest.mark.parametrize("shuffle", [False, True])
def test_validation_classes_are_not_training_classes(shuffle: bool) -> None:
    result = classes(example(40), fraction=0.3, shuffle=shuffle, seed=0)
    train, val = labels_of(result, "train"), labels_of(result, "val")
    assert not train & val
    assert train | val == set(range(20))
    assert (len(train), val == set(range(14, 20))) == (14, not shuffle)


def test_the_first_80_percent_of_100_sorted_classes_train() -> None:
    result = classes(example(200), fraction=0.2, shuffle=False, seed=0)
    assert labels_of(result, "train") == set(range(80))


def test_every_super_class_gives_its_share() -> None:
    table = example(60)
    table["category"] = np.where(table["label"].astype(int) < 10, "small", "large")
    result = classes(table, fraction=0.2, shuffle=False, seed=0)
    assert labels_of(result, "val") == {8, 9, 26, 27, 28, 29}


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_class_gives_its_share_of_samples(shuffle: bool) -> None:
    table = example()
    result = samples(table, fraction=0.3, shuffle=shuffle, seed=0)
    for label in range(10):
        rows = result[result["label"] == str(label)]
        kept = (rows["split"] == "train").to_numpy()
        assert kept.sum() == max(1, 7 * len(rows) // 10)  # floor(0.7 n) in whole numbers
        if not shuffle:
            assert kept[: kept.sum()].all()


def test_a_share_is_not_a_victim_of_rounding() -> None:
    """(1 - 0.8) * 10 is 1.9999999999999996 in floating point."""
    table = make_table([str(number) for number in range(10)], 0, "train")
    result = samples(table, fraction=0.8, shuffle=False, seed=0)
    assert (result["split"] == "train").sum() == 2


def test_a_shuffled_fold_of_numbered_classes_is_drawn_from_their_numeric_order() -> None:
    """A user who trained a fold before labels were text finds the same classes in it."""
    expected = np.arange(100)
    np.random.default_rng(3).shuffle(expected)
    found = fold(example(200), index=1, folds=4, shuffle=True, seed=3)
    assert labels_of(found, "val") == set(expected[25:50])


@pytest.mark.parametrize("shuffle", [False, True])
def test_each_class_validates_in_exactly_one_fold(shuffle: bool) -> None:
    parts = [
        labels_of(fold(example(), index, folds=4, shuffle=shuffle, seed=0), "val")
        for index in range(4)
    ]
    assert sorted(label for part in parts for label in part) == list(range(10))
    assert sorted(map(len, parts)) == [2, 2, 3, 3]


def test_none_leaves_the_table_as_it_is() -> None:
    table = example()
    assert none(table) is table


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (partial(fold, index=4, folds=4, shuffle=True), "no fold 4 of 4"),
        (
            partial(fold, index=0, folds=11, shuffle=True),
            "no fold 0 of 11 over 10 train",
        ),
        (partial(classes, fraction=0.2, shuffle=True), "would be empty"),
    ],
)
def test_a_split_that_cannot_exist_says_why(split: Callable[..., Table], message: str) -> None:
    table = example()
    table["category"] = table["label"]  # each class keeps at least itself
    with pytest.raises(DatasetError, match=message):
        split(table, seed=0)


def test_a_fraction_is_a_share() -> None:
    with pytest.raises(ValueError, match="between 0 and 1, got 20"):
        samples(example(), fraction=20, shuffle=True, seed=0)


def test_a_split_of_the_table_itself_is_not_overruled_in_silence() -> None:
    table = example()
    table.loc[table["split"] == "test", "split"] = "val"
    with pytest.raises(DatasetError, match="validation=none"):
        samples(table, fraction=0.2, shuffle=True, seed=0)
