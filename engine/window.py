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

SAID = {"train/loss": "the loss", "train/grad_norm": "the norm of the gradient"}


class TrainingError(UserError):
    """A step went wrong, such as a loss that is not finite; the last checkpoint is still good."""


class Window:
    """Collects what each step measured; `close` averages it with a single host synchronisation.

    Args:
        scaled: gradients are scaled up, as in float16; the scaler passes over a step whose
            gradient is not finite, and no weight is spoiled.
    """

    def __init__(self, scaled: bool = False) -> None:
        self.watched = ["train/loss"] if scaled else ["train/loss", "train/grad_norm"]
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
            TrainingError: names the first step whose loss or gradient is not finite.
        """
        names = list(self.steps[0].measured)
        table = [torch.stack([taken.measured[name] for name in names]) for taken in self.steps]
        rows = torch.stack(table).double().tolist()
        for number, row in enumerate(rows, step - len(rows) + 1):
            self._check(number, dict(zip(names, row, strict=True)))
        now = time.perf_counter()
        rate = self.num_images / (now - self.started)
        self.steps, self.started = [], now
        means = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
        named = dict(zip(names, means, strict=True))
        return {**named, "train/images_per_second": round(rate, 1)}

    def _check(self, number: int, measured: dict[str, float]) -> None:
        for name in self.watched:
            if not math.isfinite(measured[name]):
                raise TrainingError(f"step {number}: {SAID[name]} is {measured[name]}; {ADVICE}")

    def restart(self) -> None:
        """Start counting time now: an evaluation is not training."""
        self.started = time.perf_counter()
