"""Training measurements between two log lines: kept on the device, read once."""

import math
import time

import torch

from engine.train import Measurements


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; the last checkpoint holds the last good state."""


class Window:
    """Collects what each step measured; `close` averages it with a single host synchronisation."""

    def __init__(self) -> None:
        self.measured: list[Measurements] = []
        self.images = 0
        self.started = time.perf_counter()

    def add(self, measured: Measurements, images: int) -> None:
        self.measured.append(measured)
        self.images += images

    def close(self, step: int) -> dict[str, float]:
        """Means over the window that ends at `step`, and images per second; starts a new one.

        Raises:
            NonFiniteLossError: names the first step whose loss is not finite.
        """
        names = list(self.measured[0])
        table = torch.stack([torch.stack([m[name] for name in names]) for m in self.measured])
        rows = table.double().tolist()
        loss = names.index("train/loss")
        for row, number in zip(rows, range(step - len(rows) + 1, step + 1), strict=True):
            if not math.isfinite(row[loss]):
                raise NonFiniteLossError(
                    f"the loss is {row[loss]} at step {number}; checkpoints/last.pt is from before. "
                    "Try a lower optimizer.lr, trainer.precision=32-true or trainer.max_grad_norm"
                )
        now = time.perf_counter()
        rate = self.images / (now - self.started)
        self.measured, self.images, self.started = [], 0, now
        means = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
        named = dict(zip(names, means, strict=True))
        return {**named, "train/images_per_second": round(rate, 1)}

    def restart(self) -> None:
        """Start counting time now: an evaluation is not training."""
        self.started = time.perf_counter()
