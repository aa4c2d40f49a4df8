"""Tracker MLflow: a run of an experiment on a tracking server or in a local store."""

import json
import logging
import os
import re
import time as clock
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock

from core.files import write_text_atomically
from core.ranges import NonNegativeFloat
from tracking.background_tracker import BackgroundTracker
from tracking.tracked_values import flat_config, numbers

NOT_IN_NAMES = re.compile(r"[^\w\-./: ]")  # MLflow refuses other characters
PARAMS_PER_CALL = 100  # the limit of MLflow


class MlflowLogger(BackgroundTracker):
    """Logs records to MLflow as metrics, the configuration as parameters.

    MLflow accepts no @ in a name: `test/recall@1` is `test/recall_at_1` there. Lists, such as a
    spectrum, are left out. The id of the run at MLflow is in `mlflow.json` of the run folder, so
    that a resumed run goes on there; what MLflow has of a step is not logged again.

    Args:
        uri: of a tracking server or a store, without user and password, which MLflow takes from
            MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. None is MLFLOW_TRACKING_URI or,
            without that, the SQLite file `.mlflow/mlflow.db` beside the folders of the datasets.
        experiment: name of the experiment.
        timeout, folder, config, name: see `tracking.background_tracker.BackgroundTracker`.
    """

    client = "MLflow"
    needs: ClassVar = {"mlflow": "mlflow-skinny"}

    def __init__(
        self,
        uri: str | None,
        experiment: str,
        timeout: NonNegativeFloat,
        *,
        folder: Path,
        config: Mapping[str, Any],
        name: str | None = None,
    ) -> None:
        self.store = folder.absolute().parents[2] / ".mlflow"
        self.local = f"sqlite:///{self.store}/mlflow.db"
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or self.local
        self.experiment, self.id_file = experiment, folder / "mlflow.json"
        self.steps: dict[str, set[int]] = {}  # of a metric, those that an earlier process logged
        self.resumed, self.last_step = False, 0
        super().__init__(timeout, folder=folder, config=config, name=name)

    def _start(self) -> None:
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        with self._alone():
            self.mlflow = MlflowClient(self.uri)
            experiment = self._experiment_id()
        earlier = self._earlier_run()
        self.resumed = earlier is not None
        self.run_id = earlier or self._new_run(experiment)

    def _alone(self) -> AbstractContextManager[object]:
        """Prevent several runs that begin at once from creating the local store together."""
        if self.uri != self.local:
            return nullcontext()
        self.store.mkdir(exist_ok=True)
        return FileLock(self.store / ".lock")

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self.mlflow.get_experiment_by_name(self.experiment)
        if found is None:
            # else the artifacts of a local store would be in the current folder
            place = (self.store / "artifacts").as_uri() if self.uri == self.local else None
            try:
                return str(self.mlflow.create_experiment(self.experiment, place))
            except MlflowException:
                found = self.mlflow.get_experiment_by_name(self.experiment)
                if found is None:  # else another run has just created it
                    raise
        return str(found.experiment_id)

    def _earlier_run(self) -> str | None:
        """The run at MLflow that an earlier process began; None if the store does not have it."""
        from mlflow.exceptions import MlflowException

        if self.name or not self.id_file.exists():
            return None
        run_id = str(json.loads(self.id_file.read_text())["run_id"])
        try:
            self.mlflow.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return run_id

    def _new_run(self, experiment: str) -> str:
        from mlflow.entities import Param

        tags = {"dataset": self.dataset, "group": self.group, "job_type": self.job_type}
        tags["folder"] = str(self.folder)
        run = self.mlflow.create_run(experiment, run_name=self.run_name, tags=tags)
        params = [Param(plain(k), str(v)) for k, v in flat_config(self.config).items()]
        for first in range(0, len(params), PARAMS_PER_CALL):
            some = params[first : first + PARAMS_PER_CALL]
            self.mlflow.log_batch(run.info.run_id, params=some)
        if not self.name:
            content = {"run_id": run.info.run_id, "experiment": self.experiment}
            write_text_atomically(self.id_file, json.dumps(content, indent=2) + "\n")
        return str(run.info.run_id)

    def _log(self, step: int, values: Mapping[str, Any], time: float | None = None) -> None:
        from mlflow.entities import Metric

        self.last_step = step
        milliseconds = int(1000 * (clock.time() if time is None else time))
        metrics = [
            Metric(plain(name), value, milliseconds, step)
            for name, value in numbers(values).items()
            if not self._has(plain(name), step)
        ]
        self.mlflow.log_batch(self.run_id, metrics=metrics)

    def _has(self, name: str, step: int) -> bool:
        """Whether an earlier process logged the metric at this step."""
        if not self.resumed:
            return False
        if name not in self.steps:
            history = self.mlflow.get_metric_history(self.run_id, name)
            self.steps[name] = {metric.step for metric in history}
        return step in self.steps[name]

    def _log_images(self, step: int, pictures: Mapping[str, Path]) -> None:  # noqa: ARG002
        for path in pictures.values():
            self.mlflow.log_artifact(self.run_id, str(path), "pictures")

    def _finish(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> None:
        self._log(self.last_step, numbers)
        for name, text in texts.items():
            self.mlflow.set_tag(self.run_id, name, text)

    def _close(self, error: type[BaseException] | None) -> None:
        interrupted = error is not None and issubclass(error, KeyboardInterrupt)
        status = "KILLED" if interrupted else "FAILED" if error else "FINISHED"
        self.mlflow.set_terminated(self.run_id, status)


def plain(name: str) -> str:
    """A name with the characters that MLflow accepts: `test/recall@1` -> `test/recall_at_1`."""
    return NOT_IN_NAMES.sub("_", name.replace("@", "_at_"))
