"""Writers of a run: the first process writes records and checkpoints, the others write nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.checkpoint import Checkpoints, Position, Stateful
from engine.metric_accumulator import MetricAccumulator
from engine.run_progress import Best, RunProgress
from engine.schedule import TrainingSchedule
from engine.step import StepResult
from tracking.cost import Cost
from tracking.run_folder import RunFolder
from tracking.run_logger import RunLogger


@dataclass(frozen=True)
class RunWriter:
    """Writer of the first process of a run: writes records, checkpoints, cost and summary.

    Args:
        folder: the folder of the run.
        logger: appends records to the folder and sends them to the trackers.
        checkpoints: the checkpoints of the run.
        cost: time and memory of the run.
        schedule: converts steps to epochs.
        accumulator: averages the measurements of the steps between two records.
        progress: shows how far the run is.
        select_on: metric that selects an evaluation, such as `val/recall@1`.
        storage_metrics: metrics whose best evaluation is saved, where they are measured.
    """

    folder: RunFolder
    logger: RunLogger
    checkpoints: Checkpoints
    cost: Cost
    schedule: TrainingSchedule
    accumulator: MetricAccumulator
    progress: RunProgress
    select_on: str
    storage_metrics: Sequence[str]

    def resume(self, position: Position) -> None:
        """Remove the records that are newer than the checkpoint, and start the clocks."""
        self.logger.rewind(position.records)
        self.progress.start(position.step)
        self.cost.save()
        self.accumulator.restart()

    def add(self, step: int, result: StepResult) -> None:
        """Collect the measurements of a step, without waiting for the device."""
        self.accumulator.add(result)
        self.progress.advance(step)

    def log(self, step: int, learning_rate: float) -> None:
        """Record the means of the steps since the last training record."""
        num_images = self.accumulator.num_images
        means = self.accumulator.close(step)
        self.cost.trained(num_images)
        self.progress.trained(step, means)
        self.logger.record(step, self.schedule.epoch(step), {**means, "train/lr": learning_rate})

    def record_evaluation(self, step: int, results: Mapping[str, Any]) -> None:
        """Record the results of an evaluation and its time."""
        self.logger.record(step, self.schedule.epoch(step), results)
        self.cost.evaluated()
        self.progress.evaluated(step, self.best(results))

    def best(self, results: Mapping[str, Any]) -> Best | None:
        """The latest and the best value of the metric that shows how well the run learns."""
        metric = self.logger.shown_metric(results, self.select_on)
        if metric is None:
            return None
        best = self.logger.best(metric)
        return Best(metric, results[metric], best[metric], best["epoch"])

    def save_best(self, step: int, parts: Callable[[str], Mapping[str, Stateful]]) -> None:
        """Save the weights for every storage metric whose best evaluation is the latest one.

        Args:
            parts: the parts to save for a metric, with the weights that it measures.
        """
        for metric in filter(self.logger.improved, self.storage_metrics):
            self.checkpoints.save_best(metric, parts(metric), step)

    def save(self, step: int, parts: Mapping[str, Stateful]) -> None:
        """Save a checkpoint to resume from, and the cost so far."""
        self.checkpoints.save(parts, step)
        self.cost.save()
        self.accumulator.restart()

    @property
    def evaluated(self) -> bool:
        """Whether the run has a record of an evaluation."""
        return self.logger.evaluated

    def finish(self, step: int, stopped_by: str) -> None:
        """Write `summary.json`, and send it to the trackers.

        Args:
            step: the last optimizer step.
            stopped_by: the key of the hook that stopped the run, empty if none did.
        """
        summary = self.logger.summary(self.select_on) | {"cost": self.cost.save()}
        if stopped_by and step < self.schedule.total_steps:
            summary["stopped"] = {"by": stopped_by, "step": step, "of": self.schedule.total_steps}
        self.folder.write_json(self.folder.summary, summary)
        self.logger.finish(summary)


class NullWriter:
    """Writer of all other processes of a run: writes nothing."""

    evaluated = False

    def resume(self, position: Position) -> None: ...

    def add(self, step: int, result: StepResult) -> None: ...

    def log(self, step: int, learning_rate: float) -> None: ...

    def record_evaluation(self, step: int, results: Mapping[str, Any]) -> None: ...

    def save_best(self, step: int, parts: Callable[[str], Mapping[str, Stateful]]) -> None: ...

    def save(self, step: int, parts: Mapping[str, Stateful]) -> None: ...

    def finish(self, step: int, stopped_by: str) -> None: ...
