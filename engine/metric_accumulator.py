"""Metric accumulator: keeps training measurements on the device until the next record."""

import logging
import math
import time

import torch

from core.errors import UserError
from engine.step import StepResult

log = logging.getLogger(__name__)
IDLE_STEPS = 50  # a run warns after so many steps without a gradient
HINT = (
    "checkpoints/last.pt is older. Try a lower optimizer.lr, trainer.precision=32-true "
    "or trainer.max_grad_norm"
)

LABELS = {"train/loss": "the loss", "train/grad_norm": "the norm of the gradient"}


class TrainingError(UserError):
    """A training step failed, for example with an infinite loss; the last checkpoint is valid."""


class MetricAccumulator:
    """Collects the measurements of steps; `close` averages them with one host synchronisation.

    Args:
        uses_grad_scaler: whether the loss is scaled up, as in float16; the scaler skips a step
            whose gradient is not finite, so that such a gradient is no error.
        patience: number of consecutive steps with loss and gradient 0 before the only warning.
    """

    def __init__(self, uses_grad_scaler: bool = False, patience: int = IDLE_STEPS) -> None:
        self.must_be_finite = ["train/loss"]
        if not uses_grad_scaler:
            self.must_be_finite.append("train/grad_norm")
        self.steps: list[StepResult] = []
        self.idle = 0
        self.patience: float = patience
        self.started = time.perf_counter()

    def add(self, step: StepResult) -> None:
        """Keep the measurements of a step on the device."""
        self.steps.append(step._replace(embeddings=None))  # which would stay in memory

    @property
    def num_images(self) -> int:
        """Number of images since the last `close`."""
        return sum(step.num_images for step in self.steps)

    def close(self, step: int) -> dict[str, float]:
        """Means over the steps up to `step`, and images per second; clears the accumulator.

        A measurement that one of these steps lacks, as a loss of a later phase, is left out.

        Raises:
            TrainingError: names the first step whose loss or gradient is not finite.
        """
        first = self.steps[0].measured
        names = [name for name in first if all(name in one.measured for one in self.steps)]
        table = [torch.stack([result.measured[name] for name in names]) for result in self.steps]
        rows = torch.stack(table).double().tolist()
        for number, row in enumerate(rows, step - len(rows) + 1):
            self._check(number, dict(zip(names, row, strict=True)))
        self._count_idle(step, rows)
        now = time.perf_counter()
        rate = self.num_images / (now - self.started)
        self.steps, self.started = [], now
        means = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
        named = dict(zip(names, means, strict=True))
        return {**named, "train/images_per_second": round(rate, 1)}

    def _check(self, number: int, measured: dict[str, float]) -> None:
        for name in self.must_be_finite:
            if not math.isfinite(measured[name]):
                raise TrainingError(f"step {number}: {LABELS[name]} is {measured[name]}; {HINT}")

    def _count_idle(self, step: int, rows: list[list[float]]) -> None:
        """Warn after `patience` steps without an active tuple, as when all hinges are 0."""
        before, self.idle = self.idle, 0 if any(map(any, rows)) else self.idle + len(rows)
        if before < self.patience <= self.idle:
            self.patience = math.inf  # one warning is enough
            log.warning(
                "step %d: loss and gradient were exactly 0 in each of the last %d steps, nothing "
                "is learned: no tuple is active. Check the margin of the loss, the batchminer "
                "and sampler.samples_per_class",
                *(step, self.idle),
            )

    def restart(self) -> None:
        """Restart the clock of images per second, so that an evaluation does not count."""
        self.started = time.perf_counter()
