"""Whole runs with all trackers: what they leave, that they resume, and that no file has a key."""

import json
import os
import signal
from pathlib import Path
from zipfile import ZipFile, is_zipfile

import pytest

from tests.run_server import Runs, runs, server  # noqa: F401 - fixtures
from tests.test_main import assert_same, records, state

SECRETS = {  # planted, where the clients look for them
    "WANDB_API_KEY": "a123456789abcdef0123456789abcdef01234567",
    "COMET_API_KEY": "b123456789abcdef0123456789",
    "MLFLOW_TRACKING_USERNAME": "c123456789abcdef0123456789",
    "MLFLOW_TRACKING_PASSWORD": "d123456789abcdef0123456789",
    "MLFLOW_TRACKING_TOKEN": "e123456789abcdef0123456789",
}
ALL = ("tracker=[wandb,tensorboard,mlflow,comet]", "tracker.mode=offline", "trainer.workers=0")
DISABLED = ("trainer.workers=0",)


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the client of MLflow
def test_a_killed_run_goes_on_in_every_tracker_and_equals_one_without(
    runs: Runs,  # noqa: F811
) -> None:
    for client in ("tensorboard", "mlflow", "comet_ml"):
        pytest.importorskip(client)
    home = str(runs.folder.parent)
    pid = runs.start(*ALL, HOME=home, **SECRETS)
    runs.wait_for_a_record(pid)
    os.kill(pid, signal.SIGKILL)
    code, said = runs.end()
    assert code == -signal.SIGKILL, said
    folder = runs.finished(*ALL, HOME=home, **SECRETS)
    said = runs.log.read_text()
    assert "stopped mirroring" not in said
    assert not [line for line in said.splitlines() if "mlflow" in line or "COMET" in line]
    recorded = records(folder)
    steps = {
        name: [record["step"] for record in recorded if name in record]
        for name in ("train/loss", "test/recall@1")
    }
    for name, expected in steps.items():
        assert steps_in_tensorboard(folder, name) == expected
        assert steps_in_mlflow(folder, name) == expected
        assert steps_in_comet(folder, name) == expected
    assert len(list(folder.glob("wandb/offline-run-*"))) == 1
    assert_no_secret(runs.folder.parent)

    twin = folder.rename(runs.folder.parent / "twin")
    without = runs.finished(*DISABLED)
    assert without.name == folder.name
    assert without.parent == folder.parent, "the name of the folder has no tracker in it"
    assert_same(state(without), state(twin))
    assert records(without) == recorded
    left = {path.name for path in without.iterdir()}
    assert not left & {"wandb", "tensorboard", "comet", "mlflow.json"}


def steps_in_tensorboard(folder: Path, name: str) -> list[int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard" / "training"), {"scalars": 0}).Reload()
    return [event.step for event in events.Scalars(name)]


def steps_in_mlflow(folder: Path, name: str) -> list[int]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder.parents[2]}/.mlflow/mlflow.db")
    run_id = json.loads((folder / "mlflow.json").read_text())["run_id"]
    history = client.get_metric_history(run_id, name.replace("@", "_at_"))
    return sorted(metric.step for metric in history)


def steps_in_comet(folder: Path, name: str) -> list[int]:
    (archive,) = (folder / "comet" / "training").glob("*.zip")
    with ZipFile(archive) as opened:
        lines = [json.loads(line) for line in opened.read("messages.json").splitlines()]
    metrics = [line["payload"]["metric"] for line in lines if line["type"] == "metric_msg"]
    return [metric["step"] for metric in metrics if metric["metricName"] == name]


def assert_no_secret(folder: Path) -> None:
    """No file holds a key, nor a file in an archive."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        contents = [path.read_bytes()]
        if is_zipfile(path):
            with ZipFile(path) as archive:
                contents += [archive.read(name) for name in archive.namelist()]
        for name, secret in SECRETS.items():
            assert not any(secret.encode() in content for content in contents), (path, name)
