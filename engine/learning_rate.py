"""Learning rate schedules: factors of the initial rate, pure functions of the optimizer step."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from core.ranges import NonNegativeFloat, NonNegativeInt
from engine.schedule import TrainingSchedule

Unit = Literal["epoch", "iteration"]
Factor = Callable[[float, float], float]  # progress and length of the run, both in units


def constant(optimizer: Optimizer, warmup: NonNegativeInt, plan: TrainingSchedule) -> LambdaLR:
    """Constant schedule: the initial learning rate, after `warmup` steps of linear increase."""
    return _schedule(optimizer, lambda _progress, _length: 1.0, "iteration", warmup, plan)


def multistep(
    optimizer: Optimizer,
    milestones: Sequence[NonNegativeInt],
    gamma: NonNegativeFloat,
    unit: Unit,
    warmup: NonNegativeInt,
    plan: TrainingSchedule,
) -> LambdaLR:
    """Multistep schedule: multiplies the rate by `gamma` at every milestone, in `unit`s."""
    factor = partial(_multistep, milestones=tuple(milestones), gamma=gamma)
    return _schedule(optimizer, factor, unit, warmup, plan)


def cosine(
    optimizer: Optimizer,
    final: NonNegativeFloat,
    unit: Unit,
    warmup: NonNegativeInt,
    plan: TrainingSchedule,
) -> LambdaLR:
    """Cosine schedule: half a cosine from the initial rate to `final` times it, by `unit`."""
    return _schedule(optimizer, partial(_cosine, final=final), unit, warmup, plan)


def _multistep(progress: float, _length: float, milestones: Sequence[int], gamma: float) -> float:
    return gamma ** sum(progress >= milestone for milestone in milestones)


def _cosine(progress: float, length: float, final: float) -> float:
    return final + (1 - final) * (1 + math.cos(math.pi * min(progress / length, 1))) / 2


def _schedule(
    optimizer: Optimizer,
    factor: Factor,
    unit: Unit,
    warmup: int,
    plan: TrainingSchedule,
) -> LambdaLR:
    """A scheduler with one step per optimizer step; an epoch counts when it is complete."""
    if unit not in ("epoch", "iteration"):
        raise ValueError(f"scheduler.unit is epoch or iteration, got {unit!r}")
    per_unit = plan.steps_per_epoch if unit == "epoch" else 1

    def at(step: int) -> float:
        warm = min(1.0, (step + 1) / warmup) if warmup else 1.0
        return warm * factor(step // per_unit, max(plan.total_steps / per_unit, 1))

    return LambdaLR(optimizer, at)
