"""The run: training steps, with records, evaluations and checkpoints in between."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lightning_fabric import Fabric

from engine.checkpoint import Checkpoints, Position
from engine.data.loader import SeededBatches
from engine.data.prefetch import Batch
from engine.learner import Learner
from engine.metric_accumulator import HINT, IDLE, MetricAccumulator, TrainingError
from engine.progress import Progress
from engine.schedule import TrainingSchedule
from engine.step import StepResult
from tracking.cost import Cost
from tracking.run_logger import RunLogger

Evaluate = Callable[[], Mapping[str, Any]]


def fit(
    learner: Learner,
    loader: Iterable[Batch],
    batches: SeededBatches,
    evaluate: Evaluate,
    plan: TrainingSchedule,
    checkpoints: Checkpoints,
    run: RunLogger,
    cost: Cost,
    storage_metrics: Sequence[str],
    stalled: Callable[[], bool],
) -> None:
    """Train from the last checkpoint, or from the start, to the end of the plan.

    Whatever `run` recorded after that checkpoint is dropped and recorded again, the same.

    Args:
        storage_metrics: for each of these that an evaluation measures, the weights of the best
            evaluation are kept.
        stalled: asked after each evaluation; True ends the run before the plan does.
    """
    position = checkpoints.load(learner.state()) or Position()
    run.rewind(position.records)
    if broadcast(learner.fabric, lambda: plan.total_steps == 0 and not run.evaluated):
        run.record(0, 0, evaluate())
        cost.evaluated()
    window = MetricAccumulator(learner.scaled, patience=max(1, min(IDLE, plan.total_steps)))
    cost.save()
    with Progress(plan.total_steps, position.step) as progress:
        agreed = partial(broadcast, learner.fabric, stalled)
        for step, taken in numbered_steps(learner, loader, batches, plan, position.step, agreed):
            window.add(taken)
            progress.advance(step)
            if plan.logs(step):
                images = window.num_images
                train = window.close(step)
                cost.trained(images)
                progress.show(train)
                run.record(step, plan.epoch(step), {**train, "train/lr": learner.learning_rate})
            if plan.evaluates(step):
                run.record(step, plan.epoch(step), evaluate())
                cost.evaluated()
                for metric in filter(run.improved, storage_metrics):
                    checkpoints.save_best(metric, learner.embedder(), step)
            if plan.saves(step):
                checkpoints.save(learner.state(), step)
                cost.save()
                window.restart()


def run_worker(
    learner: Learner,
    loader: Iterable[Batch],
    batches: SeededBatches,
    evaluate: Evaluate,
    plan: TrainingSchedule,
    checkpoints: Checkpoints,
) -> None:
    """What every process but the first does: the same steps and evaluations, and no files."""
    told = partial(broadcast, learner.fabric, bool)
    position = checkpoints.load(learner.state()) or Position()
    if told():
        evaluate()
    for step, _ in numbered_steps(learner, loader, batches, plan, position.step, told):
        if plan.evaluates(step):
            evaluate()


def numbered_steps(
    learner: Learner,
    loader: Iterable[Batch],
    batches: SeededBatches,
    plan: TrainingSchedule,
    done: int,
    stalled: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, StepResult]]:
    """Take the steps after the first `done`, epoch by epoch, beginning in the middle of one.

    They end with the plan, or after an evaluation that finds the run stalled.

    Raises:
        TrainingError: the criterion refused a batch; names the step.
    """
    step = done
    while not is_done(learner, step, plan, stalled):
        batches.epoch, batches.start = divmod(step, plan.steps_per_epoch)
        steps = learner.steps(loader)
        while not is_done(learner, step, plan, stalled):
            try:
                taken = next(steps)
            except StopIteration:
                break
            except ValueError as error:
                raise TrainingError(f"step {step + 1}: {error}; {HINT}") from error
            step += 1
            learner.adapt(step)
            yield step, taken


def broadcast(fabric: Fabric, decision: Callable[[], bool]) -> bool:
    """What the first process decides, in every process."""
    return fabric.broadcast(decision()) if fabric.world_size > 1 else decision()


def is_done(
    learner: Learner, step: int, plan: TrainingSchedule, stalled: Callable[[], bool]
) -> bool:
    """Whether `step` was the last one; the first process decides for all."""
    if step >= plan.total_steps:
        return True
    return plan.evaluates(step) and learner.fabric.broadcast(stalled())
