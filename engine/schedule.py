"""Training schedule: when a run logs, evaluates, saves and stops, in optimizer steps."""

from dataclasses import dataclass

from omegaconf import DictConfig


@dataclass(frozen=True)
class TrainingSchedule:
    """Training schedule: the length of a run, and its intervals of logs, evaluations and saves.

    Args:
        steps_per_epoch: number of batches of the sampler.
        total_steps: length of the run; 0 evaluates the untrained backbone.
        evaluate_every: steps between evaluations; the last step is always evaluated.
        log_every: steps averaged into one training record.
        checkpoint_every: steps between checkpoints besides the one after each evaluation.
    """

    steps_per_epoch: int
    total_steps: int
    evaluate_every: int
    log_every: int
    checkpoint_every: int

    def evaluates(self, step: int) -> bool:
        """Whether the run is evaluated after a step."""
        return step == self.total_steps or (step > 0 and step % self.evaluate_every == 0)

    def saves(self, step: int) -> bool:
        """Whether a checkpoint is saved after a step: after each evaluation and in between."""
        return self.evaluates(step) or step % self.checkpoint_every == 0

    def logs(self, step: int) -> bool:
        """Whether a training record is written after a step: before each save and in between."""
        return self.saves(step) or step % self.log_every == 0

    @property
    def evaluations(self) -> int:
        """Number of evaluations: after the last step and every `evaluate_every`-th step."""
        return max(1, -(-self.total_steps // self.evaluate_every))

    def evaluations_after(self, step: int) -> int:
        """Number of evaluations after later steps than `step`."""
        done = step // self.evaluate_every
        return 0 if step >= self.total_steps else self.evaluations - done

    def epoch(self, step: int) -> float:
        """Epochs completed after `step` steps; whole numbers at the end of an epoch."""
        return round(step / self.steps_per_epoch, 4)


def format_epoch(epoch: float) -> str:
    """A number of epochs with at most two decimals."""
    return f"{round(epoch, 2):g}"


def schedule_from(trainer: DictConfig, steps_per_epoch: int) -> TrainingSchedule:
    """The schedule of the settings in conf/trainer."""
    return make_schedule(
        steps_per_epoch,
        epochs=trainer.epochs,
        iterations=trainer.iterations,
        evaluate_every_epochs=trainer.evaluate_every_epochs,
        evaluate_every_iterations=trainer.evaluate_every_iterations,
        log_every=trainer.log_every,
        checkpoint_every=trainer.checkpoint_every,
    )


def make_schedule(
    steps_per_epoch: int,
    epochs: int,
    iterations: int | None,
    evaluate_every_epochs: int,
    evaluate_every_iterations: int | None,
    log_every: int,
    checkpoint_every: int,
) -> TrainingSchedule:
    """Build a schedule from epochs or iterations; a value in iterations replaces one in epochs."""
    total = epochs * steps_per_epoch if iterations is None else iterations
    evaluate_every = evaluate_every_iterations or evaluate_every_epochs * steps_per_epoch
    return TrainingSchedule(steps_per_epoch, total, evaluate_every, log_every, checkpoint_every)
