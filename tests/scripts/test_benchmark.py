"""The benchmark runs, its sides do the same work, and a side that fails is a row too."""

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.evaluation import SIZES, bare_faiss, embeddings, retrieval, suite
from benchmarks.evaluation import pytorch_metric_learning as peer
from benchmarks.implementation import Measured, run_in_process, write_table
from scripts.benchmark import main


def test_the_sides_measure_the_same_thing() -> None:
    vectors, labels = embeddings(SIZES["tiny"], "cpu")
    ours, whole, theirs = (side(vectors, labels) for side in (retrieval, suite, peer))
    assert ours["recall@1"] == pytest.approx(theirs["precision_at_1"], abs=1e-9)
    assert ours["r_precision"] == pytest.approx(theirs["r_precision"], abs=1e-9)
    assert ours["map@r"] == pytest.approx(theirs["mean_average_precision_at_r"], abs=1e-9)
    assert {name: whole[name] for name in ("recall@8", "map@r", "map_c")} == {
        name: ours[name] for name in ("recall@8", "map@r", "map_c")
    }
    assert bare_faiss(vectors, labels) == {"k": 11}  # classes of ten, and the query itself


def test_the_embeddings_are_the_same_every_time() -> None:
    first, again = embeddings(SIZES["tiny"], "cpu"), embeddings(SIZES["tiny"], "cpu")
    assert first[0].equal(again[0])
    assert first[1].bincount().tolist() == [10] * 60


def test_every_side_is_a_row_with_its_circumstances(tmp_path: Path) -> None:
    options = ["--sizes", "tiny", "--rounds", "1", "--out", str(tmp_path)]
    main(["evaluation", *options, "--sides", "our retrieval metrics", "bare product"])
    table = pd.read_csv(tmp_path / "evaluation_cpu.csv")
    assert table["side"].tolist() == ["our retrieval metrics", "bare product"]
    assert (table["seconds_min"] > 0).all()
    assert (table["cpu_seconds_min"] > 0).all()
    assert json.loads(table["results"][0])["num_queries"] == 600
    assert table[["hardware", "cores", "load", "torch", "faiss-cpu"]].notna().all(axis=None)


def test_the_difference_in_nmi_is_a_row(tmp_path: Path) -> None:
    options = ["--sizes", "tiny", "--rounds", "1", "--out", str(tmp_path)]
    main(["evaluation", *options, "--sides", "nmi difference"])
    (row,) = pd.read_csv(tmp_path / "evaluation_cpu.csv")["results"]
    found = json.loads(row)
    assert found["difference"] == pytest.approx(found["nmi"] - found["faiss nmi"], abs=2e-4)
    assert abs(found["difference"]) < 0.02
    assert 0.5 < found["nmi"] < 1


def test_a_side_that_ends_badly_or_late_is_a_failure() -> None:
    missing = run_in_process(["benchmarks.evaluation", "tiny", "nobody", "cpu"], 16, 60)
    assert missing.seconds is None
    assert "nobody" in missing.failure
    late = run_in_process(["benchmarks.evaluation", "tiny", "bare product", "cpu"], 16, 0)
    assert late.failure == "not done after 0 s"


def test_a_new_measurement_takes_the_place_of_the_old(tmp_path: Path) -> None:
    table = tmp_path / "evaluation_cpu.csv"
    for seconds in (2.0, 1.0):
        sides = {"ours": [Measured(seconds, seconds, 0.5, {})], "theirs": [_failed()]}
        write_table(table, {"size": "tiny"}, sides, "cpu")
    rows = pd.read_csv(table)
    assert rows["side"].tolist() == ["ours", "theirs"]
    assert rows["seconds_min"].tolist()[0] == 1
    assert rows["failure"][1] == "too slow"


def _failed() -> Measured:
    return Measured(None, None, None, {}, "too slow")
