"""What a run costs: time, speed and memory, over all the processes it took to finish."""

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
ADVICE = "put it back, or delete it to count time from here, and give the same command again"
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
    """A stopwatch that a kill does not reset: it goes on from what `cost.json` says.

    The totals

        seconds             since this object was made, with those of earlier processes; what was
                            lost by a kill and trained again counts twice, for it was paid twice
        train_seconds       of it in training steps, reading images included
        evaluation_seconds  of it in evaluations
        images_per_second   training images per training second; None before any training
        peak_memory_gib     on a GPU what torch allocated on it, else the resident memory of the
                            main process, its loader's workers not counted
        device              name of the GPU or of the processor
        gpu_hours           hours in which the run held a GPU, busy or not, summed over its GPUs

    Args:
        path: `cost.json`; written by `save` alone.
        device: where the run computes.
        name: of that device.
        devices: how many of them the run holds; time and memory are those of the first process.

    Raises:
        DamagedFileError: what `cost.json` says is no cost.
    """

    def __init__(self, path: Path, device: torch.device, name: str, devices: int = 1) -> None:
        self.path, self.on_gpu, self.devices = path, device.type == "cuda", devices
        self.totals: dict[str, Any] = {**paid(path), "device": name}
        self.since = time.perf_counter()
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats()

    def trained(self, images: int) -> None:
        """What passed since the last call of any method went into training on `images` images."""
        self.totals["train_seconds"] += self._lap()
        self.totals["images"] += images

    def evaluated(self) -> None:
        """What passed since the last call of any method was an evaluation."""
        self.totals["evaluation_seconds"] += self._lap()

    def save(self) -> dict[str, Any]:
        """The totals so far; what passed since the last call went into neither of the two."""
        self._lap()
        self.totals["peak_memory_gib"] = max(self.totals["peak_memory_gib"], self._peak() / GIB)
        write_text_atomically(self.path, json.dumps(self.totals, indent=2) + "\n")
        return shown(self.totals)

    def _lap(self) -> float:
        now = time.perf_counter()
        passed, self.since = now - self.since, now
        self.totals["seconds"] += passed
        self.totals["gpu_hours"] += passed / 3600 * self.on_gpu * self.devices
        return passed

    def _peak(self) -> int:
        """Bytes; of this process, since it began, or since this object was made on a GPU."""
        if self.on_gpu:
            return int(torch.cuda.max_memory_allocated())
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def paid(path: Path) -> dict[str, float]:
    """The sums in `cost.json`; zeros where there is none yet.

    Raises:
        DamagedFileError: it holds no JSON, or something else than sums, which are never negative.
    """
    content = read_json(path, ADVICE) if path.exists() else {}
    sums = {name: content.get(name, 0) for name in SUMS}
    for name, value in sums.items():
        if type(value) not in (int, float) or not 0 <= value < math.inf:
            raise DamagedFileError(f"{path} is damaged ({name} is {value!r}); {ADVICE}")
    return sums


def shown(totals: dict[str, Any]) -> dict[str, Any]:
    """The totals as summary.json has them: rounded, and images as a rate."""
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
