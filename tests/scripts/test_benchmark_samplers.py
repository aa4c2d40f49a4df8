"""The benchmark of samplers: every side is a row, with its reason where there is no time."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.samplers import OURS, ROTH, SIZES, one_implementation, summary, training_set
from scripts.benchmark import main

RELEASED = """
class Sampler:
    def __init__(self, opt, image_dict, image_list):
        self.length = len(image_list) // opt.bs
        self.size = opt.bs
        assert image_dict[3][0][1] == [label for _, label in image_list].index(3)

    def precompute_indices(self):
        self.epoch_indices = [list(range(self.size))] * self.length
        assert len(self.storage) and self.n_jobs

    def __iter__(self):
        return iter(self.epoch_indices)
"""


def test_the_training_set_is_the_same_every_time() -> None:
    (rows, labels), (again, _) = training_set(SIZES["tiny"]), training_set(SIZES["tiny"])
    assert rows.equal(again)
    assert np.bincount(labels).min() >= 2
    assert len(labels) == len(rows) == 1200


def test_sides_are_rows_with_their_time_or_reason(tmp_path: Path) -> None:
    theirs = "Roth et al. fid_batchmatch"
    sides = ["--sides", "fid_match", theirs]
    main(["samplers", "--sizes", "tiny", "--rounds", "1", "--out", str(tmp_path), *sides])
    table = pd.read_csv(tmp_path / "samplers_cpu.csv")
    assert table["side"].tolist() == ["fid_match", theirs]
    assert json.loads(table["results"][0]) == {"batches": 10, "images": 112}
    assert table["cpu_seconds_median"][0] > 0
    assert table["failure"][1] == "no checkout: --roth names none"
    text = pd.read_csv(tmp_path / "samplers_cpu.csv", dtype=str, keep_default_na=False)
    assert f"| tiny | {theirs} |  |  |  | no checkout" in summary(text)


def test_a_checkout_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("joblib")
    (tmp_path / "datasampler").mkdir()
    (tmp_path / "datasampler" / "d2_coreset_sampler.py").write_text(RELEASED)
    one_implementation("tiny", "Roth et al. d2_coreset", str(tmp_path))
    measured = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert measured["results"] == {"batches": 10, "images": 112}
    assert measured["seconds"] > 0


@pytest.mark.parametrize("side", OURS)
def test_every_sampler_of_ours_plans_an_epoch(
    side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one_implementation("tiny", side, "")
    results = json.loads(capsys.readouterr().out.splitlines()[-1])["results"]
    assert results == {"batches": 10, "images": 112}


def test_the_released_code_has_a_side_for_each_of_its_samplers() -> None:
    assert {file for file, _ in ROTH.values()} == {
        *("greedy_coreset_sampler", "d2_coreset_sampler"),
        *("fid_batchmatch_sampler", "disthist_batchmatch_sampler"),
    }
