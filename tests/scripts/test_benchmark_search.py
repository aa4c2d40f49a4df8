"""The benchmark of indexes: a row for the build and one for the search of each implementation."""

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.search import IMPLEMENTATIONS, SIZES, one_phase, summary, write_inputs
from retrieval.index_folder import KINDS
from scripts.benchmark import main


def test_every_kind_is_measured_beside_bare_faiss() -> None:
    expected = {f"{owner} {kind}" for owner in ("our", "faiss") for kind in KINDS}
    assert expected == set(IMPLEMENTATIONS)


@pytest.mark.extended
def test_the_table_has_the_build_and_the_search_of_each_side(tmp_path: Path) -> None:
    sides = ["our exact", "faiss exact"]
    main(["search", "--sizes", "tiny", "--out", str(tmp_path), "--sides", *sides])
    table = pd.read_csv(tmp_path / "search_cpu.csv", dtype=str, keep_default_na=False)
    rows = table.set_index("side")
    phases = ("build", "search")
    assert set(rows.index) == {f"{side}, {phase}" for side in sides for phase in phases}
    found = json.loads(rows.loc["our exact, search", "results"])
    assert found["recall@10"] == 1
    assert found["queries_per_second"] > 0
    assert float(rows.loc["our exact, build", "seconds_median"]) > 0
    lines = summary(table).splitlines()
    assert [line.split(" | ")[1] for line in lines[2:]] == sides


@pytest.mark.parametrize("side", ["our hnsw", "faiss hnsw", "faiss exact"])
def test_sides_find_the_same_neighbours(
    side: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_inputs(tmp_path, SIZES["tiny"]._replace(num=2000))
    for phase in ("build", "search"):
        one_phase(side, phase, str(tmp_path), str(tmp_path / "index"))
    built, found = map(json.loads, capsys.readouterr().out.splitlines())
    assert found["results"]["recall@10"] > 0.98
    assert built["results"]["gib"] > 0
