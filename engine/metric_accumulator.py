"""Training measurements between two log lines: kept on the device, read once."""

import logging
import math
import time

import torch

from core.errors import UserError
from engine.step import StepResult

log = logging.getLogger(__name__)
IDLE = 50  # steps without any gradient after which a run says so
HINT = (
    "checkpoints/last.pt is older. Try a lower optimizer.lr, trainer.precision=32-true "
    "or trainer.max_grad_norm"
)

LABELS = {"train/loss": "the loss", "train/grad_norm": "the norm of the gradient"}


class TrainingError(UserError):
    """A step went wrong, such as a loss that is not finite; the last checkpoint is still good."""


class MetricAccumulator:
    """Collects what each step measured; `close` averages it with a single host synchronisation.

    Args:
        scaled: gradients are scaled up, as in float16; the scaler passes over a step whose
            gradient is not finite, and no weight is spoiled.
        patience: steps in a row whose loss and gradient are exactly 0 before a warning, given
            once, says so.
    """

    def __init__(self, scaled: bool = False, patience: int = IDLE) -> None:
        self.watched = ["train/loss"] if scaled else ["train/loss", "train/grad_norm"]
        self.steps: list[StepResult] = []
        self.idle = 0
        self.patience: float = patience
        self.started = time.perf_counter()

    def add(self, step: StepResult) -> None:
        self.steps.append(step)

    @property
    def num_images(self) -> int:
        return sum(taken.num_images for taken in self.steps)

    def close(self, step: int) -> dict[str, float]:
        """Means over the window that ends at `step`, and images per second; starts a new one.

        Raises:
            TrainingError: names the first step whose loss or gradient is not finite.
        """
        names = list(self.steps[0].measured)
        table = [torch.stack([taken.measured[name] for name in names]) for taken in self.steps]
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
        for name in self.watched:
            if not math.isfinite(measured[name]):
                raise TrainingError(f"step {number}: {LABELS[name]} is {measured[name]}; {HINT}")

    def _count_idle(self, step: int, rows: list[list[float]]) -> None:
        """Warn where no tuple has been active for long: a loss of hinges that are all closed."""
        before, self.idle = self.idle, 0 if any(map(any, rows)) else self.idle + len(rows)
        if before < self.patience <= self.idle:
            self.patience = math.inf  # it is said once
            log.warning(
                "step %d: loss and gradient were exactly 0 in each of the last %d steps, nothing "
                "is learned: no tuple is active. Look at the margin of the loss, the batchminer "
                "and sampler.samples_per_class",
                *(step, self.idle),
            )

    def restart(self) -> None:
        """Start counting time now: an evaluation is not training."""
        self.started = time.perf_counter()
