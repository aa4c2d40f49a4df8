"""The best weights of a run, by each metric that asks for them."""

from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from torch import nn

from engine.checkpoint import Checkpoints, read_checkpoint
from engine.run_writer import RunWriter
from tracking.metrics_log import MetricsLog
from tracking.run_logger import RunLogger

VALUES = {  # of the evaluations after steps 1, 2, 3 and 4
    "train/recall@1": [0.9, 0.5, 0.9, 0.1],
    "val/recall@1": [0.1, 0.2, 0.4, 0.3],
    "test/recall@1": [0.4, 0.7, 0.6, 0.5],
    "test/loss": [3.0, 2.0, 2.5, 1.0],
}
BEST = {"train/recall@1": 1, "val/recall@1": 3, "test/recall@1": 2, "test/loss": 4}


@pytest.fixture
def writer(tmp_path: Path) -> RunWriter:
    """The part of a writer that keeps the best weights."""
    records = MetricsLog(tmp_path / "metrics.jsonl")
    made = object.__new__(RunWriter)
    parts = {
        "logger": RunLogger(records, Mock(), {"recall@1": True, "loss": False}),
        "checkpoints": Checkpoints(tmp_path / "checkpoints", records),
        "storage_metrics": [*VALUES, "test/not measured"],
    }
    for name, part in parts.items():
        object.__setattr__(made, name, part)
    return made


def test_the_best_weights_of_each_storage_metric_are_kept(
    writer: RunWriter, tmp_path: Path
) -> None:
    model = nn.Linear(1, 1)
    for step in (1, 2, 3, 4):
        nn.init.constant_(model.weight, step)
        results = {name: values[step - 1] for name, values in VALUES.items()}
        writer.logger.record(step, step / 4, results)
        writer.save_best(step, lambda _metric: {"model": model})
    files = {name: f"best_{name.replace('/', '_')}.pt" for name in VALUES}
    assert {file.name for file in (tmp_path / "checkpoints").iterdir()} == set(files.values())
    for name, file in files.items():
        content = read_checkpoint(tmp_path / "checkpoints" / file)
        assert content["step"] == BEST[name]
        weight = content["parts"]["model"]["weight"]
        assert torch.equal(weight, torch.full_like(weight, BEST[name]))


@pytest.mark.parametrize(
    ("select_on", "measured", "shown"),
    [
        ("val/recall@1", ["val/recall@1", "test/recall@1"], "val/recall@1"),
        ("val/recall@1", ["test/loss", "test/recall@1"], "test/recall@1"),
        ("val/nmi", ["test/num_queries", "test/loss", "test/recall@1"], "test/loss"),
        ("val/nmi", ["test/num_queries"], None),
    ],
    ids=["validation", "its test value", "another metric", "none"],
)
def test_the_metric_that_is_shown_is_the_one_that_selects_if_it_is_measured(
    writer: RunWriter, select_on: str, measured: list[str], shown: str | None
) -> None:
    results = dict.fromkeys(measured, 0.5)
    assert writer.logger.shown_metric(results, select_on) == shown
    if shown is not None:
        undefined = {**results, shown: float("nan")}
        assert writer.logger.shown_metric(undefined, select_on) != shown


def test_the_best_value_is_that_of_the_earliest_best_evaluation(writer: RunWriter) -> None:
    for step in (1, 2, 3, 4):
        results = {name: values[step - 1] for name, values in VALUES.items()}
        writer.logger.record(step, step / 4, results)
    assert writer.logger.best("train/recall@1")["step"] == 1
    assert writer.logger.best("test/loss")["epoch"] == 1.0
