"""TensorBoard, MLflow and Comet with their real clients; what they wrote is read by those, too."""

import json
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from tracking.background_tracker import BackgroundTracker
from tracking.comet_logger import CometLogger
from tracking.metrics_log import MetricsLog
from tracking.mlflow_logger import MlflowLogger
from tracking.run_logger import RunLogger
from tracking.tensorboard_logger import TensorBoardLogger
from tracking.trackers import Trackers

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the clients
CONFIG = {"seed": 3, "loss": {"margin": 0.2, "miner": None}, "metric": ["recall", "nmi"]}
SUMMARY = {
    "last": {"step": 4, "test/recall@1": 0.75},
    "selected": None,
    "oracle": {"test/recall@1": 0.8, "steps": {"test/recall@1": 2}},
    "cost": {"seconds": 1.5, "device": "CPU"},
}
Make = Callable[..., BackgroundTracker]
Series = dict[str, list[tuple[int, float]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "digits" / "margin_1a2b" / "seed3"
    path.mkdir(parents=True)
    (path / "environment.json").write_text('{"commit": "abc", "dirty": true}')
    return path


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of MLflow without runs; to create one takes seconds."""
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(autouse=True)
def store(request: pytest.FixtureRequest, folder: Path) -> None:
    """The store of MLflow beside the run, for the tests of MLflow."""
    if "mlflow" in request.node.name:
        place = folder.parents[2] / ".mlflow"
        place.mkdir()
        shutil.copy(request.getfixturevalue("empty_store"), place)


def tensorboard(folder: Path, name: str | None = None) -> BackgroundTracker:
    pytest.importorskip("tensorboard")
    return TensorBoardLogger(60, folder=folder, config=CONFIG, name=name)


def mlflow(folder: Path, name: str | None = None) -> BackgroundTracker:
    pytest.importorskip("mlflow")
    return MlflowLogger(None, "digits", 60, folder=folder, config=CONFIG, name=name)


def comet(folder: Path, name: str | None = None) -> BackgroundTracker:
    pytest.importorskip("comet_ml")
    return CometLogger("digits", None, 60, folder=folder, config=CONFIG, name=name)


def events_of(folder: Path, own: str = "training") -> Any:  # noqa: ANN401
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    everything = dict.fromkeys(("scalars", "histograms", "images", "tensors"), 0)
    events = EventAccumulator(str(folder / "tensorboard" / own), size_guidance=everything)
    return events.Reload()


def client_of(folder: Path) -> Any:  # noqa: ANN401
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{folder.parents[2]}/.mlflow/mlflow.db")


def mlflow_run(folder: Path) -> Any:  # noqa: ANN401
    return client_of(folder).get_run(json.loads((folder / "mlflow.json").read_text())["run_id"])


def messages(folder: Path, kind: str, own: str = "training") -> list[dict[str, Any]]:
    (archive,) = (folder / "comet" / own).glob("*.zip")
    with ZipFile(archive) as opened:
        lines = opened.read("messages.json").decode().splitlines()
    return [found["payload"] for found in map(json.loads, lines) if found["type"] == kind]


def series_of_tensorboard(folder: Path) -> Series:
    events = events_of(folder)
    tags = events.Tags()["scalars"]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


def series_of_mlflow(folder: Path) -> Series:
    client, run = client_of(folder), mlflow_run(folder)
    names = {name.replace("_at_", "@"): name for name in run.data.metrics}
    history = {name: client.get_metric_history(run.info.run_id, m) for name, m in names.items()}
    return {name: [(m.step, m.value) for m in found] for name, found in history.items()}


def series_of_comet(folder: Path) -> Series:
    found: Series = {}
    for message in messages(folder, "metric_msg"):
        metric = message["metric"]
        point = (metric["step"], float(metric["metricValue"]))
        found.setdefault(metric["metricName"], []).append(point)
    return found


KINDS = [
    pytest.param(tensorboard, series_of_tensorboard, id="tensorboard"),
    pytest.param(mlflow, series_of_mlflow, id="mlflow"),
    pytest.param(comet, series_of_comet, id="comet"),
]
every_tracker = pytest.mark.parametrize(("make", "series"), KINDS)


def values(step: int) -> dict[str, Any]:
    """What a run measures at a step; every second one is an evaluation, too."""
    tested = {"test/recall@1": step / 8, "test/nmi": None, "test/rho_spectrum@0": [0.5, 0.3, 0.2]}
    return {"train/loss": 1 / step, **(tested if step % 2 == 0 else {})}


def train(folder: Path, tracker: BackgroundTracker, steps: range, size: int = 0) -> RunLogger:
    """What a process of a run does: it resumes from a checkpoint, then records steps."""
    run = RunLogger(MetricsLog(folder / "metrics.jsonl"), Trackers([tracker]), {"recall@1": True})
    run.rewind(size)
    for step in steps:
        run.record(step, step / 2, values(step))
    return run


def assert_has_once(series: Mapping[str, list[tuple[int, float]]], last: int) -> None:
    """Each step of a metric is there once, with its value."""
    losses = [(step, pytest.approx(1 / step)) for step in range(1, last + 1)]
    assert series["train/loss"] == losses
    assert series["test/recall@1"] == [(step, step / 8) for step in range(2, last + 1, 2)]
    assert "test/nmi" not in series


@every_tracker
def test_records_and_readings_arrive(
    make: Make, series: Callable[[Path], Series], folder: Path
) -> None:
    with make(folder) as tracker:
        train(folder, tracker, range(1, 5)).finish(SUMMARY)
    assert not tracker.failed
    found = series(folder)
    assert_has_once(found, 4)
    assert [value for _, value in found["last/test/recall@1"]] == [0.75]
    assert [value for _, value in found["oracle/test/recall@1"]] == [pytest.approx(0.8)]
    assert [value for _, value in found["cost/seconds"]] == [1.5]


class Drawing(TensorBoardLogger):
    """Draws random numbers when it starts, as the import of Comet's client does."""

    def _start(self) -> None:
        random.random()
        np.random.rand()  # noqa: NPY002
        super()._start()


def test_the_start_of_a_tracker_leaves_the_random_numbers_of_a_run(folder: Path) -> None:
    """Else a run would have other results with a tracker than without."""
    pytest.importorskip("tensorboard")
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    expected = random.random(), np.random.rand()  # noqa: NPY002
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    with Drawing(60, folder=folder, config=CONFIG) as tracker:
        assert not tracker.failed
        assert (random.random(), np.random.rand()) == expected  # noqa: NPY002


@every_tracker
def test_a_run_that_resumes_has_every_record_once(
    make: Make, series: Callable[[Path], Series], folder: Path
) -> None:
    """The first process is killed at step 4; the checkpoint is of step 2."""
    first = make(folder)
    run = train(folder, first, range(1, 3))
    size = run.records.size
    for step in (3, 4):
        run.record(step, step / 2, values(step))
    first.calls.wait(60)  # the client has the records; the process ends here
    with make(folder) as second:
        train(folder, second, range(3, 7), size).finish(SUMMARY)
    assert not second.failed
    assert_has_once(series(folder), 6)
    if make is mlflow:
        experiment = client_of(folder).get_experiment_by_name("digits")
        assert len(client_of(folder).search_runs([experiment.experiment_id])) == 1


@every_tracker
def test_a_tracker_that_joins_later_gets_the_earlier_records(
    make: Make, series: Callable[[Path], Series], folder: Path
) -> None:
    records = MetricsLog(folder / "metrics.jsonl")
    run = RunLogger(records, Trackers([]), {"recall@1": True})
    for step in (1, 2):
        run.record(step, step / 2, values(step))
    with make(folder) as tracker:
        train(folder, tracker, range(3, 5), records.size)
    assert_has_once(series(folder), 4)


@every_tracker
def test_an_error_of_the_run_is_an_end_as_failed(
    make: Make, series: Callable[[Path], Series], folder: Path
) -> None:
    tracker = make(folder)
    train(folder, tracker, range(1, 3))
    with pytest.raises(ValueError, match="broken"), tracker:
        raise ValueError("broken")
    assert_has_once(series(folder), 2)
    if make is mlflow:
        assert mlflow_run(folder).info.status == "FAILED"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "curve.png"
    Image.new("RGB", (4, 2), (255, 0, 0)).save(path)
    return path


@pytest.mark.parametrize("make", [tensorboard, mlflow, comet])
def test_an_evaluation_is_a_run_of_its_own_with_pictures(
    make: Make, folder: Path, picture: Path
) -> None:
    with make(folder) as tracker:
        train(folder, tracker, range(1, 5))
    with make(folder, "test_last") as page:
        page.log(4, {"test/recall@1": 0.5})
        page.log_images(4, {"curve": picture})
    assert not page.failed
    if make is tensorboard:
        events = events_of(folder, "evaluation/test_last")
        (image,) = events.Images("pictures/curve")
        assert (image.step, image.width, image.height) == (4, 4, 2)
        assert_has_once(series_of_tensorboard(folder), 4)
    elif make is comet:
        (image,) = messages(folder, "file_upload", "evaluation/test_last")
        assert image["upload_type"] == "visualization"
        assert image["additional_params"]["figName"] == "pictures/curve"
        assert_has_once(series_of_comet(folder), 4)
    else:
        client = client_of(folder)
        experiment = client.get_experiment_by_name("digits")
        found = client.search_runs([experiment.experiment_id])
        runs = {run.info.run_name: run for run in found}
        assert set(runs) == {"margin_1a2b_s3", "margin_1a2b_s3_test_last"}
        run_id = runs["margin_1a2b_s3_test_last"].info.run_id
        (artifact,) = client.list_artifacts(run_id, "pictures")
        assert artifact.path == "pictures/curve.png"
        assert_has_once(series_of_mlflow(folder), 4)


def test_tensorboard_has_configuration_and_spectrum(folder: Path) -> None:
    with tensorboard(folder) as tracker:
        train(folder, tracker, range(1, 5)).finish(SUMMARY)
    events = events_of(folder)
    (config,) = events.Tensors("config/text_summary")
    assert b"margin: 0.2" in config.tensor_proto.string_val[0]
    (place,) = events.Tensors("folder/text_summary")
    assert place.tensor_proto.string_val[0].decode() == str(folder)
    assert [e.step for e in events.Histograms("test/rho_spectrum@0")] == [2, 4]
    hparams = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"loss.margin" in hparams


def test_mlflow_has_configuration_and_origin(folder: Path) -> None:
    with mlflow(folder) as tracker:
        train(folder, tracker, range(1, 5)).finish(SUMMARY)
    run = mlflow_run(folder)
    assert (run.info.run_name, run.info.status) == ("margin_1a2b_s3", "FINISHED")
    expected = {"seed": "3", "loss.margin": "0.2", "loss.miner": "None"}
    assert run.data.params == expected | {"metric": '["recall", "nmi"]'}
    expected = {"dataset": "digits", "group": "margin_1a2b", "job_type": "training"}
    assert expected | {"folder": str(folder), "commit": "abc+"} == {
        name: text for name, text in run.data.tags.items() if not name.startswith("mlflow.")
    }
    assert run.data.tags.get("mlflow.user") is None


def test_comet_has_configuration_and_origin(folder: Path) -> None:
    with comet(folder) as tracker:
        train(folder, tracker, range(1, 5)).finish(SUMMARY)
    logged = [message["param"] for message in messages(folder, "parameter_msg")]
    params = {param["paramName"]: param["paramValue"] for param in logged}
    assert params["loss.margin"] == 0.2
    others = {message["key"]: message["value"] for message in messages(folder, "log_other")}
    assert others["Name"] == "margin_1a2b_s3"
    assert (others["folder"], others["commit"]) == (str(folder), "abc+")
    histograms = messages(folder, "file_upload")
    assert [h["additional_params"]["step"] for h in histograms] == [2, 4]
