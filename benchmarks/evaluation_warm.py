"""Speed of an evaluation in a process that evaluates often, beside its first call and its imports.

A training run evaluates many times, so the time that counts is that of a warm call. All
implementations take turns in one process, and a ratio compares what the machine did in the same
minute. The table has the cost of becoming warm as well: the imports beside `import torch`, the
first call, and the first call of an installation, which compiles the loops of numba.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from benchmarks.evaluation import IMPLEMENTATIONS, SIZES, TIMED, embeddings
from benchmarks.implementation import circumstances, output_of
from core.files import write_text_atomically

OURS = ("our retrieval metrics", "our default suite")
IMPORTS = {  # what each implementation imports besides torch
    **dict.fromkeys(OURS, "import evaluation.evaluator"),
    "pytorch-metric-learning": (
        "from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator"
    ),
    "bare faiss search": "import faiss",
}
IMPORT = "import torch, time; start = time.process_time(); {}; print(time.process_time() - start)"


def add_to(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subjects.add_parser("evaluation_warm", help="the same in a process that is warm")
    device = "where everything runs"
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help=device)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["cub"], help="test sets")
    parser.add_argument("--rounds", type=int, default=15, help="of all implementations, in turn")
    parser.add_argument("--memory", type=int, default=16, help="GiB a process may use on the CPU")
    parser.add_argument("--timeout", type=int, default=1200, help="seconds a process may take")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    limits = chosen.memory, chosen.timeout
    rows = []
    for size in chosen.sizes:
        module = [sys.executable, "-m", "benchmarks.evaluation_warm", size, chosen.device]
        rounds = json.loads(output_of([*module, str(chosen.rounds)], *limits).splitlines()[-1])
        compiling = first_call_of_an_installation(module, limits)
        for name in TIMED:
            row = {
                "size": size,
                "implementation": name,
                **summary(rounds[name]),
                "compile_seconds": f"{compiling:.3g}" if name == OURS[0] else "",
                "import_cpu_seconds": import_cost(name, limits),
                **circumstances(chosen.device),
            }
            print(", ".join(f"{key} {row[key]}" for key in list(row)[:6]), flush=True)
            rows.append(row)
    chosen.out.mkdir(parents=True, exist_ok=True)
    table = chosen.out / f"evaluation_warm_{chosen.device}.csv"
    write_text_atomically(table, pd.DataFrame(rows).to_csv(index=False))


def first_call_of_an_installation(module: list[str], limits: tuple[int, int]) -> float:
    """Seconds of the first retrieval metrics while numba has nothing in its cache."""
    with TemporaryDirectory() as cache:
        command = ["env", f"NUMBA_CACHE_DIR={cache}", *module, "0"]
        rounds = json.loads(output_of(command, *limits).splitlines()[-1])
    return float(rounds[OURS[0]][0][0])


def import_cost(name: str, limits: tuple[int, int]) -> str:
    """CPU seconds of the imports of an implementation, where torch is imported already."""
    if name not in IMPORTS:
        return ""
    program = [sys.executable, "-c", IMPORT.format(IMPORTS[name])]
    seconds = [float(output_of(program, *limits).splitlines()[-1]) for _ in range(3)]
    return f"{statistics.median(seconds):.3g}"


def summary(rounds: list[list[float]]) -> dict[str, Any]:
    """The first call, and the calls after it: wall and CPU seconds."""
    (first, _), *warm = rounds
    seconds, cpu = zip(*warm, strict=True)
    return {
        "warm_seconds_min": f"{min(seconds):.3g}",
        "warm_seconds_median": f"{statistics.median(seconds):.3g}",
        "warm_cpu_seconds_median": f"{statistics.median(cpu):.3g}",
        "first_seconds": f"{first:.3g}",
        "rounds": len(warm),
    }


def alternate(size: str, device: str, rounds: int) -> dict[str, list[list[float]]]:
    """Wall and CPU seconds of each call: a first one, then so many rounds of all in turn."""
    vectors, labels = embeddings(SIZES[size], device)
    calls = {name: partial(IMPLEMENTATIONS[name], vectors, labels) for name in TIMED}
    done: dict[str, list[list[float]]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            done[name].append(timed(call))
    return done


def timed(call: Callable[[], object]) -> list[float]:
    """Wall and CPU seconds of one call."""
    start, cpu = time.perf_counter(), time.process_time()
    call()
    return [time.perf_counter() - start, time.process_time() - cpu]


if __name__ == "__main__":
    print(json.dumps(alternate(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
