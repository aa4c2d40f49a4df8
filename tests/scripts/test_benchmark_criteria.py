"""The race of objectives runs, and a side that dies or is late is a row too."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.criteria import names_of, row, summary
from benchmarks.worker import Worker
from scripts.benchmark import main


def test_objectives_and_miners_are_rows_with_their_circumstances(tmp_path: Path) -> None:
    options = ["--sizes", "8", "16", "--rounds", "2", "--out", str(tmp_path)]
    main(["criteria", *options, "--only", "triplet", "random"])
    table = pd.read_csv(tmp_path / "criteria_cpu.csv")
    assert table[["kind", "name", "N"]].to_numpy().tolist() == [
        ["loss", "triplet", 8],
        ["loss", "triplet", 16],
        ["miner", "random", 8],
        ["miner", "random", 16],
    ]
    assert (table[["ours_ms", "floor_ms", "ours/floor"]] > 0).all(axis=None)
    assert (table.loc[:1, ["theirs_ms", "ours/theirs"]] > 0).all(axis=None)
    assert table[["hardware", "cores", "load", "torch"]].notna().all(axis=None)


def test_combinations_are_left_to_their_parts() -> None:
    assert "triplet" in names_of("loss")
    assert "weighted_sum" not in names_of("loss")
    assert "none" not in names_of("miner")


def test_a_ratio_is_the_median_of_the_turns() -> None:
    turns = [
        {side: {"seconds": seconds, "gib": 0.5} for side, seconds in turn.items()}
        for turn in ({"ours": 2, "floor": 1}, {"ours": 9, "floor": 3}, {"ours": 4, "floor": 4})
    ]
    found = row(turns, ["ours", "floor"])
    assert found["ours/floor"] == 2
    assert found["ours_ms"] == 4000


@pytest.mark.parametrize(
    ("program", "timeout", "failure"),
    [
        ("input(); raise SystemExit('gone')", 60, "gone"),
        ("import time; time.sleep(60)", 1, "no answer within 1 s"),
        ("input(); x = bytearray(2**31); print('{}')", 60, "MemoryError"),
    ],
)
def test_a_side_that_dies_or_is_late_is_a_failure(
    program: str, timeout: float, failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "side.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Worker(["side"], memory_gib=1, timeout=timeout) as contender:
        assert contender.ask("8") == {"failure": failure}
        assert contender.ask("16") == {"failure": failure}


def test_a_side_takes_turn_after_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "side.py").write_text(
        "import json, sys\nfor line in sys.stdin: print(json.dumps(2 * int(line)), flush=True)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Worker(["side"], memory_gib=1, timeout=20) as contender:
        assert [contender.ask("1"), contender.ask("2")] == [2, 4]
    assert sys.executable in contender.process.args


def test_the_summary_names_the_slowest_and_the_largest() -> None:
    table = pd.DataFrame(
        {
            "kind": "loss",
            "name": ["a", "b", "c"],
            "N": 112,
            "ours/floor": [1.0, 2.0, 9.0],
            "ours/theirs": [0.5, None, 0.7],
            "ours_gib": [0.1, 0.3, 0.2],
        }
    )
    last = summary(table).splitlines()[-1]
    assert last == "| loss | 112 | 2.00 | 9.00 (c) | 0.60 | 0.70 (c) | 0.30 (b) |"


def test_a_race_without_a_rival_has_a_summary() -> None:
    rows = pd.DataFrame(
        {"kind": "loss", "name": ["fast"], "N": 8, "ours/floor": 2.0, "ours_gib": 0.1}
    )
    assert summary(rows).splitlines()[-1] == "| loss | 8 | 2.00 | 2.00 (fast) |  |  | 0.10 (fast) |"
