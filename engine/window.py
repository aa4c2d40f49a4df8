"""Training measurements between two log lines: kept on the device, read once."""

import math
import time

import torch

from core.errors import UserError
from engine.train import Step

ADVICE = (
    "checkpoints/last.pt is older. Try a lower optimizer.lr, trainer.precision=32-true "
    "or trainer.max_grad_norm"
)


class TrainingError(UserError):
    """A step went wrong, such as a loss that is not finite; the last checkpoint is still good."""


class Window:
    """Collects what each step measured; `close` averages it with a single host synchronisation."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.started = time.perf_counter()

    def add(self, step: Step) -> None:
        self.steps.append(step)

    @property
    def num_images(self) -> int:
        return sum(taken.num_images for taken in self.steps)

    def close(self, step: int) -> dict[str, float]:
        """Means over the window that ends at `step`, and images per second; starts a new one.

        Raises:
            TrainingError: names the first step whose loss is not finite.
        """
        names = list(self.steps[0].measured)
        table = [torch.stack([taken.measured[name] for name in names]) for taken in self.steps]
        rows = torch.stack(table).double().tolist()
        loss = names.index("train/loss")
        for row, number in zip(rows, range(step - len(rows) + 1, step + 1), strict=True):
            if not math.isfinite(row[loss]):
                raise TrainingError(f"step {number}: the loss is {row[loss]}; {ADVICE}")
        now = time.perf_counter()
        rate = self.num_images / (now - self.started)
        self.steps, self.started = [], now
        means = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
        named = dict(zip(names, means, strict=True))
        return {**named, "train/images_per_second": round(rate, 1)}

    def restart(self) -> None:
        """Start counting time now: an evaluation is not training."""
        self.started = time.perf_counter()
