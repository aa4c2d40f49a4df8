"""How fast a whole run trains: the command of the README, and what its own log says."""

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
    """Seconds per step are the median over windows of so many steps; one more warms up."""

    steps: int
    windows: int

    def of(self, step: Callable[[], object], device: torch.device) -> float:
        """Median seconds that a step takes."""
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
    """Overrides of a run on the images of a CSV file, with random weights and no mirror."""
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
    overrides: Sequence[str], rhythm: TimingWindows, memory_gib: int, timeout: int
) -> Measured:
    """One step of `python main.py <overrides>`, loading and logging included."""
    try:
        with finished_run(overrides, rhythm, memory_gib, timeout) as run:
            return read(run, rhythm)
    except ImplementationError as error:
        return Measured(None, None, None, {}, str(error))


@contextmanager
def finished_run(
    overrides: Sequence[str], rhythm: TimingWindows, memory_gib: int, timeout: int
) -> Iterator[RunFolder]:
    """What `python main.py <overrides>` leaves, until the end of the context.

    The run keeps all its parts; it logs once per window, and evaluates and saves after the last.

    Raises:
        SideError: it failed, or was late.
    """
    with TemporaryDirectory() as runs:
        rules = [
            f"paths.runs={runs}",
            f"trainer.iterations={rhythm.steps * (rhythm.windows + 1)}",
            f"trainer.log_every={rhythm.steps}",
            f"trainer.evaluate_every_iterations={NEVER}",
            f"trainer.checkpoint_every={NEVER}",
        ]
        output_of([sys.executable, str(MAIN), *rules, *overrides], memory_gib, timeout)
        (path,) = Path(runs).glob("*/*/seed*")
        yield RunFolder(path)


def read(run: RunFolder, rhythm: TimingWindows) -> Measured:
    """From the times of the records: a rate in them is rounded to a tenth of an image."""
    logged = [record for record in MetricsLog(run.metrics).read() if "train/loss" in record]
    times = [record["time"] for record in logged]
    lengths = [(after - before) / rhythm.steps for before, after in pairwise(times)]
    cost = json.loads(run.cost.read_text())
    loss = {"loss": logged[-1]["train/loss"]}
    return Measured(statistics.median(lengths), None, cost["peak_memory_gib"], loss)


def peak_gib(device: torch.device) -> float:
    """As `cost.json` has it: on a GPU what torch allocated, else all that the process held."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
