"""Whole runs are timed by their own log, beside a floor and a loop as usual."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchmarks.backbone_only import Table, lower_bound
from benchmarks.implementation import Measured, write_table
from benchmarks.naive_loop import triplets_of
from benchmarks.synthetic_images import SIZE, one_pixel, write_synthetic_images
from benchmarks.throughput import TimingWindows, read, throughput
from benchmarks.training import STAND_IN, summary
from datasets.csv import csv
from datasets.images import Images
from datasets.transforms import small
from engine.config.compose import compose_run
from scripts.benchmark import main
from tests.batches import chi_square_p
from tracking.run_folder import RunFolder

TINY = ["--backbones", "convnet", "--batches", "8", "--pixels", "28", "--classes", "8"]
TINY += ["--per-class", "16", "--steps", "1", "--windows", "2", "--timeout", "300"]


@pytest.mark.extended
def test_every_side_is_a_row_with_its_circumstances(tmp_path: Path) -> None:
    variant = "trainer.chunk_size=4"
    frozen = ["trainer.workers=1", "backbone.batchnorm=frozen"]  # chunks take the same steps then
    options = ["--override", *frozen, "--variants", variant, "--out", str(tmp_path)]
    sides = ["floor", "ours", "rest", "plain"]  # the loader's is made like the rest
    main(["training", *TINY, *options, "--sides", *sides])
    table = pd.read_csv(tmp_path / "training_cpu.csv")
    assert table["side"].tolist() == [*sides, variant]
    assert table["failure"].isna().all()
    assert (table[["seconds_median", "peak_gib"]] > 0).all(axis=None)
    assert (table["size"] == " ".join(["convnet 8 32-true", *frozen])).all()
    assert (table["pixels"] == 28).all()
    assert table[["hardware", "cores", "load", "torch"]].notna().all(axis=None)
    losses = [json.loads(results).get("loss") for results in table["results"]]
    assert losses[1] == pytest.approx(losses[-1], rel=1e-3)


def test_a_run_that_fails_is_a_failure_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.py").write_text("import sys; print('table'); sys.exit(f'no {sys.argv[-1]}')")
    monkeypatch.setattr("benchmarks.throughput.MAIN", tmp_path / "main.py")
    measured = throughput(["dataset=csv", "dataset.path=nowhere"], TimingWindows(1, 1), 8, 300)
    assert measured == Measured(None, None, None, {}, "no dataset.path=nowhere")


def test_a_step_takes_the_median_of_the_windows_after_the_first(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    times = (100, 110, 114, 140, 146)
    records = [{"step": n, "time": t, "train/loss": 1.0} for n, t in enumerate(times)]
    lines = [*records, {"step": 5, "time": 999, "test/recall@1": 0.5}]
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run.cost.write_text('{"peak_memory_gib": 1.5}')
    assert read(run, TimingWindows(2, 4)) == Measured(4.0, None, 1.5, {"loss": 1.0})  # 2, 3, 5, 13


def test_a_rhythm_leaves_the_first_window_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    lengths = iter([50, 50, 1, 1, 2, 4, 9, 9])
    monkeypatch.setattr("benchmarks.throughput.time.perf_counter", lambda: clock[0])

    def step() -> None:
        clock[0] += next(lengths)

    assert TimingWindows(2, 3).of(step, torch.device("cpu")) == 3


def test_the_floor_takes_a_large_batch_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Seeing(Table):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(len(images))
            return super().forward(images)

    monkeypatch.setattr("benchmarks.backbone_only.Table", Seeing)
    monkeypatch.setattr("benchmarks.backbone_only.tune_malloc", lambda: None)
    batch = ["dataset=digits", "sampler.batch_size=10", "trainer.chunk_size=4"]
    lower_bound(
        compose_run([*batch, "transform=base", "transform.crop=2", STAND_IN]), TimingWindows(1, 1)
    )
    assert seen == [4, 4, 2] * 2


def test_photographs_are_a_dataset_of_jpeg_files(tmp_path: Path) -> None:
    table = csv(str(write_synthetic_images(tmp_path / "files", classes=3, per_class=4)))
    assert table.groupby("split")["label"].nunique().to_dict() == {"test": 2, "train": 3}
    assert table.groupby("label").size().tolist() == [4, 4, 4, 2, 2]
    with Image.open(table["path"][0]) as image:
        assert (image.format, image.size) == ("JPEG", SIZE)
    sizes = [Path(path).stat().st_size for path in table["path"]]
    assert 80e3 < np.mean(sizes) < 100e3


def test_one_pixel_takes_the_place_of_every_image(tmp_path: Path) -> None:
    table = csv(str(one_pixel(write_synthetic_images(tmp_path, classes=2, per_class=2))))
    images = Images(table, small(size=1, shift=0).train)
    assert images[0][0].tolist() == [[[0]], [[0]], [[0]]]
    assert len(images) == 8


def test_the_plain_miner_weighs_negatives_by_inverse_density() -> None:
    """In three dimensions the density of a distance is proportional to it."""
    points = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0.6, 0.8, 0], [0.28, 0.96, 0]])
    counts = np.zeros(4, int)
    for _ in range(600):
        triplet = triplets_of(points, torch.tensor([0, 0, 1, 1]))
        assert triplet[0][:2] == (0, 1)
        counts[triplet[0][2]] += 1
    inverse = np.array([0, 0, 1 / 0.8**0.5, 1 / 1.2])
    assert chi_square_p(counts.tolist(), (inverse / inverse.sum()).tolist()) > 0.001


def test_the_summary_compares_each_run_with_the_others(tmp_path: Path) -> None:
    path = tmp_path / "training_cpu.csv"
    seconds = {"floor": 8.0, "ours": 10.0, "loader": 1.0, "rest": 0.2, "trainer.compile=true": 5.0}
    sides = {side: [Measured(taken, None, 1.0, {})] for side, taken in seconds.items()}
    sides["plain"] = [Measured(None, None, None, {}, "CUDA out of memory")]
    write_table(path, {"size": "resnet50 112", "batch": 112}, sides, "cpu")
    ours, compiled = summary(pd.read_csv(path)).splitlines()[2:]
    assert ours == "| resnet50 112 | ours | 11.2 | 0.800 | 1.111 | 0.020 | nan |"
    assert compiled.startswith("| resnet50 112 | trainer.compile=true | 22.4 | 1.600 |")
