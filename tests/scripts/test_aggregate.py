"""The table on a folder of runs small enough to read."""

import json
from pathlib import Path

import pytest

from scripts.aggregate import main


def write_run(root: Path, group: str, seed: int, recall: float) -> None:
    folder = root / group / f"seed{seed}"
    folder.mkdir(parents=True)
    readings = {"last": {"test/recall@1": recall}, "selected": None, "oracle": {"test/recall@1": 1}}
    (folder / "summary.json").write_text(json.dumps(readings))


def test_prints_mean_and_spread_over_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, recall in enumerate((0.50, 0.60)):
        write_run(tmp_path, "triplet", seed, recall)
        write_run(tmp_path, "contrastive", seed, 0.25)
    assert main([str(tmp_path), "--metrics", "recall@1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Reading: last. Percent, mean ± standard deviation over seeds.",
        "",
        "| group | seeds | recall@1 |",
        "|---|---:|---:|",
        "| triplet | 2 | 55.0 ± 7.1 |",
        "| contrastive | 2 | 25.0 ± 0.0 |",
    ]


def test_a_missing_seed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, "triplet", 0, 0.50)
    write_run(tmp_path, "triplet", 1, 0.60)
    write_run(tmp_path, "contrastive", 0, 0.25)
    assert main([str(tmp_path), "--metrics", "recall@1"]) == 1
    assert "contrastive/seed1" in capsys.readouterr().err
    assert main([str(tmp_path), "--metrics", "recall@1", "--allow-missing"]) == 0
    assert "| contrastive | 1 | 25.0 (n=1) |" in capsys.readouterr().out


@pytest.mark.parametrize("reading", ["last", "selected"])
def test_fails_when_there_is_nothing_to_tabulate(
    tmp_path: Path, reading: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if reading == "selected":
        write_run(tmp_path, "triplet", 0, 0.5)
    assert main([str(tmp_path), "--reading", reading]) == 1
    assert "no finished run" in capsys.readouterr().err
