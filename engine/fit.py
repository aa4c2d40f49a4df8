"""The run: training steps, with records, evaluations and checkpoints in between."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader
from tracking.run import Run

from engine.checkpoint import Checkpoints, Position
from engine.learner import Learner
from engine.loader import SeededBatches
from engine.plan import Plan
from engine.progress import Progress
from engine.window import Window

Evaluate = Callable[[], Mapping[str, Any]]


def fit(
    learner: Learner,
    loader: DataLoader[tuple[Tensor, Tensor]],
    batches: SeededBatches,
    evaluate: Evaluate,
    plan: Plan,
    checkpoints: Checkpoints,
    run: Run,
) -> None:
    """Train from the last checkpoint, or from the start, to the end of the plan.

    Whatever `run` recorded after that checkpoint is dropped and recorded again, the same.
    """
    position = checkpoints.load(learner.state()) or Position()
    run.rewind(position.records)
    step = position.step
    if plan.total_steps == 0 and not run.evaluations():
        run.record(0, 0, evaluate())
    with Progress(plan.total_steps, step) as progress:
        while step < plan.total_steps:
            batches.epoch, batches.start = divmod(step, plan.steps_per_epoch)
            window = Window()
            for taken in learner.steps(loader):
                step += 1
                window.add(taken)
                progress.advance(step)
                if plan.logs(step):
                    lr = learner.learning_rate
                    train = window.close(step)
                    progress.show(train)
                    run.record(step, plan.epoch(step), {**train, "train/lr": lr})
                if plan.evaluates(step):
                    run.record(step, plan.epoch(step), evaluate())
                    window.restart()
                if plan.saves(step):
                    checkpoints.save(learner.state(), Position(step, run.size))
                if step == plan.total_steps:
                    break
