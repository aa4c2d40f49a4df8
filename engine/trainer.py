"""Trainer: trains from the last checkpoint to the end of the schedule, with evaluations between."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from engine.checkpoint import Checkpoints, Position, Stateful
from engine.data.loader import SeededBatches
from engine.data.prefetch import Batch
from engine.embedding_storage import EmbeddingStorage, NoStorage
from engine.hooks.run_hooks import Measure, RunHooks
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
        hooks: what the run calls besides.
        feedback: passes validation metrics to parts of the criterion, after each step.
        schedule: when to log, evaluate, save and stop.
        checkpoints: restores the last checkpoint.
        storage: keeps the embeddings up to date from which the sampler plans its batches.
        writer: writes records and checkpoints in the first process, nothing in the others.
    """

    learner: Learner
    loader: Iterable[Batch]
    batches: SeededBatches
    evaluate: Measure
    hooks: RunHooks
    feedback: Callable[[int], object]
    schedule: TrainingSchedule
    checkpoints: Checkpoints
    storage: EmbeddingStorage | NoStorage
    writer: RunWriter | NullWriter

    def fit(self) -> None:
        """Restore the last checkpoint and train until the schedule ends or a hook stops the run.

        Records that are newer than the checkpoint are removed and recorded again, identical.
        """
        self.hooks.start()
        step = self.restore()
        if self.schedule.total_steps == 0:
            self.evaluate_untrained()
        while not self.is_done(step):
            for batch in self.rest_of_epoch(step):
                step += 1
                result = self.train(step, batch)
                self.writer.add(step, result)
                self.hooks.after_step(step, result.measured)
                is_last = self.is_done(step)  # the last step is recorded, evaluated and saved
                if is_last or self.schedule.logs(step):
                    self.writer.log(step, self.learner.learning_rate)
                if is_last or self.schedule.evaluates(step):
                    self.record_evaluation(step)
                if is_last or self.schedule.saves(step):
                    self.writer.save(step, self.state())
                if self.is_done(step):
                    break
        self.writer.finish(step, self.hooks.stopped_by)
        self.hooks.at_end(step)

    def restore(self) -> int:
        """Load the last checkpoint, if there is one; returns its optimizer step, else 0."""
        position = self.checkpoints.load(self.state()) or Position()
        self.writer.resume(position)
        return position.step

    def state(self) -> dict[str, Stateful]:
        """The parts that a resumed run restores; those of a storage and of hooks if it has them."""
        return {**self.learner.state(), **self.storage.state(), **self.hooks.state()}

    def evaluate_untrained(self) -> None:
        """Evaluate a run without training steps, unless it was evaluated before, and save it.

        Its checkpoint lets pretrained weights be used as those of any run.
        """
        if not self.learner.fabric.broadcast(self.writer.evaluated):
            self.record_evaluation(0)
            self.writer.save(0, self.state())

    def record_evaluation(self, step: int) -> None:
        """Evaluate, record the results and save the best weights; hooks come last."""
        results = self.hooks.evaluate(step, self.evaluate)
        self.writer.record_evaluation(step, results)
        if step > 0:
            self.writer.save_best(step, self.inference_state)
        self.hooks.after_evaluation(step, results)

    def inference_state(self, metric: str) -> Mapping[str, Stateful]:
        """The parts that inference needs, with the backbone that a metric measures."""
        parts = self.learner.inference_state()
        measured = self.hooks.evaluated_model(metric)
        return parts if measured is None else {**parts, "model": measured}

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
        """Whether `step` was the last one: the schedule ends, or a hook has stopped the run."""
        return step >= self.schedule.total_steps or self.hooks.stopped
