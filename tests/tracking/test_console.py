"""The table at the end of a run, read as text."""

from typing import Any

import pytest
from rich.console import Console

from tracking.console import format_queries, table

RECALL = "evaluation.metrics.recall.recall_at_k"
METRICS = {
    "recall@1": {"_target_": RECALL, "_partial_": True, "k": 1},
    "recall@2": {"_target_": RECALL, "_partial_": True, "k": 2},
    "nmi": {"_target_": "evaluation.metrics.nmi.nmi", "_partial_": True},
    "cmc@1": {"_target_": RECALL, "_partial_": True, "k": 1},
    "precision@1": {
        "_target_": "evaluation.metrics.precision.precision_at_k",
        "_partial_": True,
        "k": 1,
    },
}

Reading = dict[str, Any]


def rows(
    metrics: dict[str, Any], last: Reading, selected: Reading | None, oracle: Reading
) -> list[list[str]]:
    """The words of each row, the head first; a cell that is empty has none."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table({"last": last, "selected": selected, "oracle": oracle}, metrics))
    return [line.split() for line in captured.get().splitlines()]


def test_a_metric_whose_readings_agree_is_shown_once() -> None:
    last = {"test/recall@1": 0.5, "test/nmi": 0.25}
    found = rows(METRICS, last, {**last, "test/nmi": 0.2}, {**last, "test/nmi": 0.3})
    assert found == [
        ["metric", "last", "selected", "oracle"],
        ["test/recall@1", "0.5000"],
        ["test/nmi", "0.2500", "0.2000", "0.3000"],
    ]


def test_readings_that_agree_as_printed_agree() -> None:
    found = rows(METRICS, {"test/nmi": 0.123401}, None, {"test/nmi": 0.123449})
    assert found == [["metric", "last", "=", "oracle"], ["test/nmi", "0.1234"]]


def test_a_reading_that_the_run_does_not_have_has_no_column() -> None:
    found = rows(METRICS, {"test/nmi": 0.1}, None, {"test/nmi": 0.2})
    assert found == [["metric", "last", "oracle"], ["test/nmi", "0.1000", "0.2000"]]


def test_a_metric_without_a_value_in_one_reading_shows_all_readings() -> None:
    found = rows(METRICS, {"test/nmi": 0.1}, {"test/nmi": None}, {"test/nmi": 0.1})
    assert found[1] == ["test/nmi", "0.1000", "-", "0.1000"]


def test_metrics_that_are_equal_by_definition_share_a_row() -> None:
    values = {"recall@1": 0.5, "recall@2": 0.5, "nmi": 0.5, "cmc@1": 0.5, "precision@1": 0.5}
    last = {
        f"test/{part}{name}": value for part in ("", "slice_1/") for name, value in values.items()
    }
    found = rows(METRICS, last, None, last)
    assert [" ".join(row[:-1]) for row in found[1:]] == [
        "test/recall@1 = cmc@1 = precision@1",
        "test/recall@2",
        "test/nmi",
        "test/slice_1/recall@1 = slice_1/cmc@1 = slice_1/precision@1",
        "test/slice_1/recall@2",
        "test/slice_1/nmi",
    ]


def test_a_number_that_differs_is_never_hidden() -> None:
    last = {"test/recall@1": 0.5, "test/cmc@1": 0.6}
    assert [row[0] for row in rows(METRICS, last, None, last)[1:]] == list(last)


def test_counts_lists_and_other_splits_are_no_metrics_of_the_table() -> None:
    last = {"val/nmi": 0.1, "test/rho": [0.1], "test/num_queries": 9, "test/nmi": 0.2}
    assert [row[0] for row in rows({}, last, None, last)[1:]] == ["test/nmi"]


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((2120, 0), "queries: 2,120"),
        ((2120, 3), "queries: 2,120, without 3 that have no relevant image"),
    ],
)
def test_the_queries_are_counted_below(counts: tuple[int, int], text: str) -> None:
    assert format_queries(*counts) == text
