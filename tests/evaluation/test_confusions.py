"""Hardest classes first, and the classes of the wrong nearest neighbours, counted by hand."""

import numpy as np

from evaluation.class_report import class_report, markdown

NAMES = ["ant", "bee", "cat|dog", "never asked"]
LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])
FIRST_HITS = np.array([2, 3, 1, 9, 1, 1, 1, 5])
PRECISIONS = np.array([0.5, 0.25, 1.0, 0.25, 1.0, 1.0, 1.0, 0.0])
NEAREST = np.array([2, 1, 0, 1, 1, 1, 2, 0])


def test_counts_by_hand() -> None:
    table = class_report(LABELS, FIRST_HITS, PRECISIONS, NEAREST, NAMES)
    assert table.values.tolist() == [
        ["ant", 4, 0.25, 0.5, "bee (2), cat|dog (1)"],
        ["cat|dog", 2, 0.5, 0.5, "ant (1)"],
        ["bee", 2, 1.0, 1.0, ""],
    ]


def test_equally_hard_classes_come_by_average_precision_then_name() -> None:
    names = ["d", "c", "b", "a"]
    labels, ones = np.arange(4), np.ones(4, dtype=int)
    table = class_report(labels, ones, np.array([0.5, 0.5, 0.9, 0.9]), labels, names)
    assert table["class"].tolist() == ["c", "d", "a", "b"]


def test_only_the_most_frequent_confusions_are_named() -> None:
    labels, nearest = np.zeros(6, dtype=int), np.array([1, 2, 2, 3, 4, 4])
    names = ["own", "x", "y", "z", "w"]
    table = class_report(labels, np.full(6, 2), np.zeros(6), nearest, names)
    assert table["taken_for"].tolist() == ["w (2), y (2), x (1)"]


def test_markdown_keeps_its_columns() -> None:
    table = class_report(LABELS, FIRST_HITS, PRECISIONS, NEAREST, NAMES)
    head, rule, *rows = markdown(table).splitlines()
    assert head == "| class | queries | recall@1 | average_precision | taken_for |"
    assert rule == "| --- | --- | --- | --- | --- |"
    assert rows[0] == r"| ant | 4 | 0.250 | 0.500 | bee (2), cat\|dog (1) |"
