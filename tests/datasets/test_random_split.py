"""Splits that nobody wrote down: by classes, and queries within each class."""

import numpy as np
import pytest

from datasets.random_split import random_queries, split_by_classes
from datasets.table import DatasetError

LABELS = np.array(list("aaaabbbbbbbccd"))


@pytest.mark.parametrize(("fraction", "num_test"), [(0.5, 2), (0.01, 1), (0.99, 3)])
def test_classes_are_in_one_split_and_each_split_has_some(fraction: float, num_test: int) -> None:
    chosen = set()
    for seed in range(30):
        split = split_by_classes(LABELS, fraction, seed)
        classes = {s: set(LABELS[split == s].tolist()) for s in ("train", "test")}
        assert len(classes["test"]) == num_test
        assert not classes["train"] & classes["test"]
        assert classes["train"] | classes["test"] == set("abcd")
        chosen.add(tuple(sorted(classes["test"])))
    assert len(chosen) > 2
    assert (split_by_classes(LABELS, fraction, 3) == split_by_classes(LABELS, fraction, 3)).all()


def test_one_class_cannot_be_split() -> None:
    with pytest.raises(DatasetError, match="there are 1"):
        split_by_classes(["a", "a"], 0.5, 0)


def test_every_class_has_queries_and_a_gallery() -> None:
    drawn = np.zeros(len(LABELS))
    for seed in range(200):
        is_query = random_queries(LABELS, 0.3, seed)
        counts = {c: int(is_query[c == LABELS].sum()) for c in "abcd"}
        assert counts == {"a": 1, "b": 2, "c": 1, "d": 0}
        drawn += is_query
    expected = np.array([0.25] * 4 + [2 / 7] * 7 + [0.5] * 2 + [0.0]) * 200
    assert (np.abs(drawn - expected) < 30).all()  # four standard deviations
