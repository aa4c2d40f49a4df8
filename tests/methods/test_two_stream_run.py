"""A run on two streams, from a CSV file whose training rows are queries or in the gallery."""

import json
from pathlib import Path

import pytest

from datasets.csv import write_csv
from datasets.digits import digits
from tests.run_server import Runs
from tests.run_server import runs as runs
from tests.run_server import server as server

STREAMS = (
    "method=two_stream",
    "loss=triplet",
    "sampler.batch_size=40",
    "sampler.pairs_per_class=4",
    "backbone=convnet",
    "transform=small",
    "optimizer=adam_scratch",
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = digits()
    rows["is_query"], rows["is_gallery"] = rows.index % 2 == 0, rows.index % 2 == 1
    write_csv(rows, tmp_path / "streams.csv")
    return tmp_path / "streams.csv"


def test_it_learns_from_pairs_and_searches_the_gallery(table: Path, runs: Runs) -> None:
    folder = runs.finished("dataset=csv", f"dataset.path={table}", *STREAMS)
    summary = json.loads((folder / "summary.json").read_text())["last"]
    assert summary["test/num_queries"] == 447
    assert summary["test/recall@1"] > 0.8
    assert "two_stream" in folder.parent.name


def test_streams_are_needed(runs: Runs) -> None:
    runs.start(*STREAMS)
    code, said = runs.end()
    assert code == 1
    assert said.count("\n") == 1
    assert "718 of 718 are both" in said
