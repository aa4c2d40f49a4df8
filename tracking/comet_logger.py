"""Tracker Comet: an offline archive in the run folder, which `comet upload` sends later."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from core.ranges import NonNegativeFloat
from tracking.background_tracker import BackgroundTracker
from tracking.tracked_values import flat_config, histograms, numbers

ENVIRONMENT = {  # read when Comet's client is imported
    "COMET_DISABLE_AUTO_LOGGING": "1",  # else it changes torch and other libraries
    "COMET_ERROR_TRACKING_ENABLE": "0",
}
AUTOMATIC = (  # what the client logs by itself: output, code, user, host and the like
    *("log_code", "log_graph", "log_git_metadata", "log_git_patch", "parse_args"),
    *("auto_param_logging", "auto_metric_logging", "auto_output_logging", "log_env_details"),
    *("log_env_gpu", "log_env_cpu", "log_env_host", "log_env_network", "log_env_disk"),
)


class CometLogger(BackgroundTracker):
    """Writes the records of a run to an offline archive of Comet, `comet/training/<key>.zip`.

    The archive is complete when the process ends in order. A process that resumes a run writes it
    anew from the records of the run, with the same key, so that it has each step once. Neither key
    of the API nor network is needed; `comet upload <archive>` sends it.

    Args:
        project, workspace: place of the experiment at Comet; None is the default of the user.
        timeout, folder, config, name: see `tracking.background_tracker.BackgroundTracker`. An
            evaluation is an experiment of its own in `comet/evaluation/<name>/`.
    """

    client = "Comet"
    needs: ClassVar = {"comet_ml": "comet_ml"}

    def __init__(
        self,
        project: str,
        workspace: str | None,
        timeout: NonNegativeFloat,
        *,
        folder: Path,
        config: Mapping[str, Any],
        name: str | None = None,
    ) -> None:
        self.project, self.workspace = project, workspace
        super().__init__(timeout, folder=folder, config=config, name=name)

    def _start(self) -> None:
        for variable, value in ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        from comet_ml import OfflineExperiment

        logging.getLogger("comet_ml").setLevel(logging.ERROR)
        own = f"evaluation/{self.name}" if self.name else "training"
        place = self.folder / "comet" / own
        place.mkdir(parents=True, exist_ok=True)
        earlier = sorted(place.glob("*.zip"))
        key = earlier[0].stem if earlier else None
        for archive in earlier:
            archive.unlink()
        silent: Any = dict.fromkeys(AUTOMATIC, False)
        self.experiment = OfflineExperiment(
            project_name=self.project,
            workspace=self.workspace,
            offline_directory=str(place),
            experiment_key=key,
            display_summary_level=0,
            **silent,
        )
        self.experiment.set_name(self.run_name)
        self.experiment.add_tags([self.dataset, self.group, self.job_type])
        self.experiment.log_parameters(flat_config(self.config))

    def _log(self, step: int, values: Mapping[str, Any], time: float | None = None) -> None:  # noqa: ARG002
        epoch = int(values.get("epoch", 0))
        self.experiment.log_metrics(numbers(values), step=step, epoch=epoch)
        for name, value in histograms(values).items():
            self.experiment.log_histogram_3d(value, name=name, step=step)

    def _log_images(self, step: int, pictures: Mapping[str, Path]) -> None:
        for name, path in pictures.items():
            self.experiment.log_image(str(path), name=f"pictures/{name}", step=step)

    def _finish(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> None:
        self.experiment.log_metrics(dict(numbers))
        self.experiment.log_others(dict(texts))

    def _close(self, error: type[BaseException] | None) -> None:
        self.experiment.log_other("state", "failed" if error else "finished")
        self.experiment.end()
