"""One batch on several processes: what they exchange is what the formula says."""

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.implementation import Measured, write_table
from benchmarks.scaling import computed, summary
from scripts.benchmark import main


@pytest.mark.extended
def test_two_processes_exchange_what_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    options = ["--backbone", "convnet", "--batch", "8", "--pixels", "28", "--steps", "2"]
    options += ["--windows", "3", "--processes", "2", "--override", "trainer.workers=0"]
    main(["scaling", *options, "--out", str(tmp_path)])
    (row,) = pd.read_csv(tmp_path / "scaling_cpu.csv").to_dict("records")
    found = json.loads(row["results"])
    assert row["seconds_median"] > 0
    assert found["MB"] == pytest.approx(found["MB computed"], rel=0.05)


def test_bytes_of_a_step() -> None:
    """Sixteen dimensions more: weights and biases of the head, and so much of each embedding."""
    small, large = (
        computed(["dataset=digits", f"backbone.embedding_dim={dim}", "sampler.batch_size=8"], 3)
        for dim in (16, 32)
    )
    weights = 4 * (128 * 16 + 16)
    assert large - small == pytest.approx(2 / 3 * (2 * weights + 2 * 4 * 8 * 16))
    assert computed(["dataset=digits"], 1) == 0


def test_the_summary_is_relative_to_one_process(tmp_path: Path) -> None:
    path = tmp_path / "scaling_cpu.csv"
    found = {"MB": 95.0, "MB computed": 94.0}
    sides = {str(p): [Measured(seconds, None, 1.0, found)] for p, seconds in ((1, 6.0), (2, 4.0))}
    write_table(path, {"size": "resnet50 48", "batch": 48}, sides, "cpu")
    assert summary(pd.read_csv(path)).splitlines()[-1] == (
        "| resnet50 48 | 2 | 12.0 | 1.50 | 95.0 | 94.0 |"
    )
