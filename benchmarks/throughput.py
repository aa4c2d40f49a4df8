"""Throughput of a whole run, `python main.py`, read from its own log."""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from benchmarks.implementation import GIB, ImplementationError, Measured, output_of
from engine.config.compose import compose_run
from tracking.metrics_log import MetricsLog
from tracking.run_folder import RunFolder

MAIN = Path(__file__).parents[1] / "main.py"
NEVER = 10**9


class TimingWindows(NamedTuple):
    """Timing windows: seconds per step are the median over `windows` of `steps` steps each.

    One more window before them warms up.
    """

    steps: int
    windows: int

    def of(self, step: Callable[[], object], device: torch.device) -> float:
        """Median seconds per step."""
        lengths = []
        for _ in range(self.windows + 1):
            start = time.perf_counter()
            for _ in range(self.steps):
                step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            lengths.append((time.perf_counter() - start) / self.steps)
        return statistics.median(lengths[1:])


def from_scratch(table: Path, backbone: str, batch: int) -> list[str]:
    """Overrides of a run on the images of a CSV file, with random weights and without W&B."""
    pretrained = "pretrained" in compose_run([f"backbone={backbone}"]).backbone
    return [
        "dataset=csv",
        f"dataset.path={table}",
        f"backbone={backbone}",
        *["backbone.pretrained=false"] * pretrained,
        f"sampler.batch_size={batch}",
        "trainer.source=files",  # unless a later override says otherwise
        "metric=[recall]",
        "tracker.mode=disabled",
    ]


def throughput(
    overrides: Sequence[str], timing: TimingWindows, memory_gib: int, timeout: int
) -> Measured:
    """Measures a step of `python main.py <overrides>`, loading and logging included."""
    try:
        with finished_run(overrides, timing, memory_gib, timeout) as run:
            return read(run, timing)
    except ImplementationError as error:
        return Measured(None, None, None, {}, str(error))


@contextmanager
def finished_run(
    overrides: Sequence[str], timing: TimingWindows, memory_gib: int, timeout: int
) -> Iterator[RunFolder]:
    """Runs `python main.py <overrides>` and gives its folder, which is deleted afterwards.

    The run logs once per window, and evaluates and saves after the last one.

    Raises:
        ImplementationError: the run failed or exceeded the timeout.
    """
    with TemporaryDirectory() as runs:
        rules = [
            f"paths.runs={runs}",
            f"trainer.iterations={timing.steps * (timing.windows + 1)}",
            f"trainer.log_every={timing.steps}",
            f"trainer.evaluate_every_iterations={NEVER}",
            f"trainer.checkpoint_every={NEVER}",
        ]
        output_of([sys.executable, str(MAIN), *rules, *overrides], memory_gib, timeout)
        (path,) = Path(runs).glob("*/*/seed*")
        yield RunFolder(path)


def read(run: RunFolder, timing: TimingWindows) -> Measured:
    """Seconds per step from the times of the records, which are exact; their rates are rounded."""
    logged = [record for record in MetricsLog(run.metrics).read() if "train/loss" in record]
    times = [record["time"] for record in logged]
    lengths = [(after - before) / timing.steps for before, after in pairwise(times)]
    cost = json.loads(run.cost.read_text())
    loss = {"loss": logged[-1]["train/loss"]}
    return Measured(statistics.median(lengths), None, cost["peak_memory_gib"], loss)


def peak_gib(device: torch.device) -> float:
    """Peak memory in GiB, as in `cost.json`: of torch on a GPU, else of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
