"""CPU seconds of commands from their start to their end, beside `python -c "import torch"`.

The commands are those that train nothing, a run whose value is wrong, and the smallest whole run.
Each is a process of its own, in turn with the others. CPU seconds are user and system time of the
process and its children; other processes on the machine change them less than the wall clock.
"""

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Timer
from typing import NamedTuple

import pandas as pd

from benchmarks.implementation import Measured, write_table

SMALL = (  # a run of one step on images that need no download
    *("dataset=digits", "metric=[recall]", "tracker.mode=disabled", "trainer.iterations=1"),
    *("trainer.source=files", "trainer.workers=0"),
)
TORCH = "import torch"


class Start(NamedTuple):
    """A command.

    Args:
        arguments: of Python.
        says: part of what it prints, which shows that it did what it should.
        variables: of its environment.
    """

    arguments: tuple[str, ...]
    says: str
    variables: Mapping[str, str] = {}


STARTS = {
    TORCH: Start(("-c", f"{TORCH}; print(torch.__version__)"), "."),
    "wrong choice": Start(("main.py", "loss=tripet"), "did you mean 'triplet'?"),
    "wrong key": Start(("main.py", "foo.bar=1"), "Could not override 'foo.bar'"),
    "completion": Start(
        ("main.py", "-sc", "query=bash"),
        "loss=triplet",
        {"COMP_LINE": "python main.py loss=tripl", "COMP_POINT": "25"},
    ),
    "help": Start(("main.py", "--help"), "usage: python main.py"),
    "finished run": Start(("main.py", *SMALL, "paths.runs={finished}"), "summary.json"),
    "added key": Start(("main.py", "+foo=1"), "no YAML declares the key 'foo'"),
    "wrong value": Start(("main.py", "trainer.epochs=abc"), "must be a whole number"),
    "one step": Start(("main.py", *SMALL, "paths.runs={new}"), "summary.json"),
}


def measure(start: Start, folder: Path, timeout: int) -> Measured:
    """The seconds of one process; a failure is a result, too."""
    with TemporaryDirectory(dir=folder) as new, TemporaryFile() as printed:
        folders = {"finished": folder / "finished", "new": new}
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *(word.format(**folders) for word in start.arguments)],
            env={**os.environ, **start.variables},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        late = Timer(timeout, process.kill)
        late.start()
        _, status, usage = os.wait4(process.pid, 0)
        late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - begin
        printed.seek(0)
        said = printed.read().decode(errors="replace")
    if start.says not in said:
        reason = f"not done after {timeout} s" if seconds > timeout else said.strip()[-120:]
        return Measured(None, None, None, {}, reason or "it printed nothing")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, None, {})


def add_to(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subjects.add_parser("start", help="whole commands, imports included")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder")
    starts = list(STARTS)
    parser.add_argument("--starts", nargs="+", choices=starts, default=starts, help="commands")
    parser.add_argument("--rounds", type=int, default=5, help="of all commands, in turn")
    parser.add_argument("--timeout", type=int, default=600, help="seconds a command may take")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    path = chosen.out / "start.csv"
    done: dict[str, list[Measured]] = {name: [] for name in chosen.starts}
    with TemporaryDirectory() as name:
        folder = Path(name)
        # the run that is shown as finished; it also fills the caches of bytecode and of numba
        first = STARTS["finished run"]
        print("first run", measure(first, folder, chosen.timeout), flush=True)
        for _ in range(chosen.rounds):
            for start, measured in done.items():
                measured.append(measure(STARTS[start], folder, chosen.timeout))
                print(start, measured[-1], flush=True)
    write_table(path, {"size": "start"}, done, "cpu")
    print(summary(pd.read_csv(path)))


def summary(table: pd.DataFrame) -> str:
    """One line per command, in Markdown: CPU seconds, and their ratio to importing torch."""
    medians = table.set_index("side")["cpu_seconds_median"]
    lines = ["| command | CPU seconds | import torch = 1 |", "|---|---:|---:|"]
    for name, seconds in medians.items():
        ratio = seconds / medians.get(TORCH, math.nan)
        lines.append(f"| {name} | {seconds:.2f} | {ratio:.2f} |")
    return "\n".join(lines)
