"""The page of the objectives: up to date, complete, with every difference."""

import inspect

from scripts.document_criteria import PAGE, differences, entries, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run python -m scripts.document_criteria"


def test_every_choice_is_on_the_page_with_a_source() -> None:
    text = PAGE.read_text()
    for group in ("loss", "batchminer"):
        for entry in entries(group):
            assert f"`{group}={entry.name}`" in text, entry.name
            assert entry.source.endswith("."), f"{entry.name}: its module names no source"


def test_every_difference_is_a_row() -> None:
    losses = entries("loss")
    stated = {
        entry.built for entry in losses if "Differences:" in (inspect.getdoc(entry.built) or "")
    }
    rows = differences(losses)
    named = {row.split("|")[1].strip() for row in rows.strip().splitlines()}
    assert named <= {entry.name for entry in losses}
    assert len(named) == len(stated) > 3
    assert "| triplet | pytorch-metric-learning | `TripletMarginLoss` takes the mean" in rows
