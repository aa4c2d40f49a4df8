"""Cost of a run: time, throughput and memory, summed over interrupted and resumed processes."""

import json
import math
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch

from core.files import DamagedFileError, read_json, write_text_atomically

GIB = 2**30
HINT = "put it back, or delete it to count time from here, and give the same command again"
SUMS = (
    "seconds",
    "train_seconds",
    "evaluation_seconds",
    "images",
    "gpu_hours",
    "peak_memory_gib",
)
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes per unit of ru_maxrss


class Cost:
    """Cost: measures time and memory of a run, continuing from the totals in `cost.json`.

    The totals are

        seconds             wall-clock time, earlier processes included; steps that a kill lost and
                            a resumed run repeated count twice
        train_seconds       the part in training steps, including reading images
        evaluation_seconds  the part in evaluations
        images_per_second   training images per training second; None before any training
        peak_memory_gib     on a GPU the memory that torch allocated; else the resident memory of
                            the main process, without loader workers
        device              name of the GPU or CPU
        gpu_hours           hours in which the run occupied a GPU, summed over its GPUs

    Args:
        path: `cost.json`; only `save` writes it.
        device: the device of this process.
        name: the name of the device.
        devices: number of devices of the run; time and memory are those of the first process.

    Raises:
        DamagedFileError: `cost.json` holds no cost.
    """

    def __init__(self, path: Path, device: torch.device, name: str, devices: int = 1) -> None:
        self.path, self.on_gpu, self.devices = path, device.type == "cuda", devices
        self.totals: dict[str, Any] = {**read_sums(path), "device": name}
        self.since = time.perf_counter()
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats()

    def trained(self, images: int) -> None:
        """Count the time since the last call of any method as training on `images` images."""
        self.totals["train_seconds"] += self._add_elapsed()
        self.totals["images"] += images

    def evaluated(self) -> None:
        """Count the time since the last call of any method as evaluation."""
        self.totals["evaluation_seconds"] += self._add_elapsed()

    def save(self) -> dict[str, Any]:
        """Write and return the totals; the time since the last call counts as neither."""
        self._add_elapsed()
        self.totals["peak_memory_gib"] = max(self.totals["peak_memory_gib"], self._peak() / GIB)
        write_text_atomically(self.path, json.dumps(self.totals, indent=2) + "\n")
        return rounded(self.totals)

    def _add_elapsed(self) -> float:
        """Add the time since the last call to the totals; returns it in seconds."""
        now = time.perf_counter()
        passed, self.since = now - self.since, now
        self.totals["seconds"] += passed
        self.totals["gpu_hours"] += passed / 3600 * self.on_gpu * self.devices
        return passed

    def _peak(self) -> int:
        """Peak memory in bytes: of a GPU since this object was made, else of the process."""
        if self.on_gpu:
            return int(torch.cuda.max_memory_allocated())
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def read_sums(path: Path) -> dict[str, float]:
    """Read the sums in `cost.json`; zeros if there is no file yet.

    Raises:
        DamagedFileError: the file holds no JSON, or a sum is not a finite number >= 0.
    """
    content = read_json(path, HINT) if path.exists() else {}
    sums = {name: content.get(name, 0) for name in SUMS}
    for name, value in sums.items():
        if type(value) not in (int, float) or not 0 <= value < math.inf:
            raise DamagedFileError(f"{path} is damaged ({name} is {value!r}); {HINT}")
    return sums


def rounded(totals: dict[str, Any]) -> dict[str, Any]:
    """The totals as in summary.json: rounded, with the number of images as a rate."""
    trained = totals["train_seconds"]
    return {
        "seconds": round(totals["seconds"], 1),
        "train_seconds": round(trained, 1),
        "evaluation_seconds": round(totals["evaluation_seconds"], 1),
        "images_per_second": round(totals["images"] / trained, 1) if totals["images"] else None,
        "peak_memory_gib": round(totals["peak_memory_gib"], 2),
        "device": totals["device"],
        "gpu_hours": round(totals["gpu_hours"], 4),
    }
