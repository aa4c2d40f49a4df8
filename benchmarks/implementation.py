"""One side of a benchmark: a process of its own, its time, its memory, its row in the table."""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from core.files import write_text_atomically

PACKAGES = ("torch", "numpy", "faiss-cpu", "pytorch-metric-learning")
GIB = 2**30


class Measured(NamedTuple):
    """What one process of one side took."""

    seconds: float | None  # None: it did not finish
    cpu_seconds: float | None  # of all its threads, if known; counts where others share the cores
    peak_gib: float | None  # above what was in memory before
    results: Mapping[str, Any]  # numbers, to see that the sides did the same work
    failure: str = ""


def measured(work: Callable[[], Mapping[str, Any]], device: str) -> Measured:
    """Time and peak memory of `work`, which is alone in this process."""
    if device == "cuda":
        work()  # contexts and kernels are loaded once in a lifetime
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
        before = memory("VmRSS")
    start, cpu_start = time.perf_counter(), time.process_time()
    results = work()
    if device == "cuda":
        torch.cuda.synchronize()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else memory("VmHWM")
    return Measured(seconds, cpu, (peak - before) / GIB, results)


def memory(name: str) -> int:
    """Bytes of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


class ImplementationError(Exception):
    """A side ended badly or was late; the reason is one line."""


def run_in_process(module: Sequence[str], memory_gib: int, timeout: int) -> Measured:
    """What `python -m <module and arguments>` prints; a failure is a result too."""
    try:
        said = output_of([sys.executable, "-m", *module], memory_gib, timeout)
    except ImplementationError as error:
        return Measured(None, None, None, {}, str(error))
    return Measured(**json.loads(said.splitlines()[-1]))


def output_of(command: Sequence[str], memory_gib: int, timeout: int) -> str:
    """What a command prints, its data limited to so many GiB and its time to so many seconds.

    Raises:
        SideError: it ended badly, with its last line; or late.
    """

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_gib * GIB, memory_gib * GIB))

    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            preexec_fn=limited,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise ImplementationError(f"not done after {timeout} s") from error
    except subprocess.CalledProcessError as error:
        said = (error.stdout + error.stderr).strip().splitlines()
        last = said[-1] if said else f"ended with code {error.returncode}"
        raise ImplementationError(last[:120]) from error
    return done.stdout


def write_table(
    path: Path, size: Mapping[str, Any], sides: Mapping[str, list[Measured]], device: str
) -> None:
    """Put one row per side into the CSV, in the place of older ones of the same size and side."""
    rows = [
        {**size, "side": side, **summary(done), **circumstances(device)}
        for side, done in sides.items()
    ]
    table = pd.DataFrame(rows)
    if path.exists():
        table = pd.concat([pd.read_csv(path, keep_default_na=False), table])
        table = table.drop_duplicates(["size", "side"], keep="last")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, table.to_csv(index=False))


def summary(done: Sequence[Measured]) -> dict[str, Any]:
    finished = [one for one in done if not one.failure]
    seconds, cpu, peaks = (
        [getattr(one, name) for one in finished if getattr(one, name) is not None]
        for name in ("seconds", "cpu_seconds", "peak_gib")
    )
    return {
        "seconds_min": f"{min(seconds):.3g}" if seconds else "",
        "seconds_median": f"{statistics.median(seconds):.3g}" if seconds else "",
        "cpu_seconds_min": f"{min(cpu):.3g}" if cpu else "",
        "cpu_seconds_median": f"{statistics.median(cpu):.3g}" if cpu else "",
        "peak_gib": f"{max(peaks):.2f}" if peaks else "",
        "rounds": len(done),
        "failure": next((one.failure for one in done if one.failure), ""),
        "results": json.dumps({k: round(v, 4) for k, v in done[0].results.items()}),
    }


def circumstances(device: str) -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    processors = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line for line in processors if line.startswith("model name")), ": unknown")
    return {
        "hardware": torch.cuda.get_device_name() if device == "cuda" else model.split(": ")[1],
        "cores": len(os.sched_getaffinity(0)),
        "load": f"{os.getloadavg()[0]:.1f}",  # of all processes, at the end
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
