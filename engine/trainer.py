"""Trainer: trains from the last checkpoint to the end of the schedule, with evaluations between."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lightning_fabric import Fabric

from engine.checkpoint import Checkpoints, Position, Stateful
from engine.data.loader import SeededBatches
from engine.data.prefetch import Batch
from engine.embedding_storage import EmbeddingStorage, NoStorage
from engine.learner import Learner
from engine.metric_accumulator import HINT, TrainingError
from engine.run_writer import NullWriter, RunWriter
from engine.schedule import TrainingSchedule
from engine.step import StepResult


@dataclass(frozen=True)
class Trainer:
    """Trainer: the training loop of a run, executed by every process of the run.

    Args:
        learner: takes the optimizer steps.
        loader: yields the batches that `batches` selects, on the device.
        batches: selects the samples of each batch, as a function of epoch and position.
        evaluate: embeds and evaluates the splits of the run, in all processes together.
        feedback: passes validation metrics to parts of the criterion, after each step.
        schedule: when to log, evaluate, save and stop.
        checkpoints: restores the last checkpoint.
        storage: keeps the embeddings up to date from which the sampler plans its batches.
        writer: writes records and checkpoints in the first process, nothing in the others.
    """

    learner: Learner
    loader: Iterable[Batch]
    batches: SeededBatches
    evaluate: Callable[[], Mapping[str, Any]]
    feedback: Callable[[int], object]
    schedule: TrainingSchedule
    checkpoints: Checkpoints
    storage: EmbeddingStorage | NoStorage
    writer: RunWriter | NullWriter

    def fit(self) -> None:
        """Restore the last checkpoint and train until the schedule ends or the run has stalled.

        Records that are newer than the checkpoint are removed and recorded again, identical.
        """
        step = self.restore()
        if self.schedule.total_steps == 0:
            self.evaluate_untrained()
        while not self.is_done(step):
            for batch in self.rest_of_epoch(step):
                step += 1
                self.writer.add(step, self.train(step, batch))
                if self.schedule.logs(step):
                    self.writer.log(step, self.learner.learning_rate)
                if self.schedule.evaluates(step):
                    self.writer.record_evaluation(step, self.evaluate())
                    self.writer.save_best(step, self.learner.inference_state())
                if self.schedule.saves(step):
                    self.writer.save(step, self.state())
                if self.is_done(step):
                    break
        self.writer.finish()

    def restore(self) -> int:
        """Load the last checkpoint, if there is one; returns its optimizer step, else 0."""
        position = self.checkpoints.load(self.state()) or Position()
        self.writer.resume(position)
        return position.step

    def state(self) -> dict[str, Stateful]:
        """The parts that a resumed run restores."""
        return {**self.learner.state(), **self.storage.state()}

    def evaluate_untrained(self) -> None:
        """Evaluate a run without training steps, unless it was evaluated before."""
        if broadcast(self.learner.fabric, lambda: not self.writer.evaluated):
            self.writer.record_evaluation(0, self.evaluate())

    def rest_of_epoch(self, step: int) -> Iterable[Batch]:
        """The batches of the current epoch that come after optimizer step `step`."""
        self.batches.epoch, self.batches.start = divmod(step, self.schedule.steps_per_epoch)
        self.storage.begin_epoch(self.batches.epoch)
        self.learner.train_mode()
        return self.loader

    def train(self, step: int, batch: Batch) -> StepResult:
        """Take optimizer step `step` on a batch.

        Raises:
            TrainingError: the criterion does not accept the batch; names the step.
        """
        try:
            result = self.learner.step(batch, self.batches.epoch)
        except ValueError as error:
            raise TrainingError(f"step {step}: {error}; {HINT}") from error
        self.feedback(step)
        self.storage.after_step(result.embeddings)
        return result

    def is_done(self, step: int) -> bool:
        """Whether `step` was the last one: the schedule ends, or an evaluation finds a stall."""
        if step >= self.schedule.total_steps:
            return True
        return self.schedule.evaluates(step) and broadcast(self.learner.fabric, self.writer.stalled)


def broadcast(fabric: Fabric, decision: Callable[[], bool]) -> bool:
    """The decision of the first process, in every process."""
    return fabric.broadcast(decision()) if fabric.world_size > 1 else decision()
