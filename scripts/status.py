"""Status of the runs of a sweep:  python -m scripts.status runs

Lists the runs below a folder that are not finished: the process that runs them, the reason of a
failure, the share that is done; then the number of finished runs, the time used and an estimate of
the time left. With `--grid` also the runs that were never started:

    python -m scripts.status runs --grid "dataset=omniglot_small loss=glob(*) seed=0,1,2,3,4"

`--clean` lists the runs that failed before their first evaluation, and removes them after asking. A
run that a process writes, or that has a checkpoint, is none of them.
"""

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table as Grid
from rich.text import Text

from core.console import unwrapped_console
from core.duration import format_duration
from core.errors import UserError
from engine.config.error_line import user_errors_as_one_line
from sweeps.failed_starts import failed_starts, remove
from sweeps.grid import declared
from sweeps.status import STATES, Status, runs_below, seconds_left, status
from tracking.run_folder import RunFolder


def main(arguments: Sequence[str]) -> None:
    asked = parser().parse_args(arguments)
    if asked.yes and not asked.clean:
        parser().error("--yes answers the question of --clean, which is not given")
    with user_errors_as_one_line():
        runs = collect(asked.runs, shlex.split(asked.grid) if asked.grid else None)
        if asked.clean:
            clean(asked.runs, runs, asked.yes)
            return
    report(asked.runs, runs, asked.all)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m scripts.status",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("runs", type=Path, help="the folder of the runs, or a folder in it")
    made.add_argument("--grid", help="the arguments of the sweep after -m, as one string")
    made.add_argument("--all", action="store_true", help="list the finished runs, too")
    failed = "list the runs that failed before their first evaluation; remove them after asking"
    made.add_argument("--clean", action="store_true", help=failed)
    made.add_argument("--yes", action="store_true", help="with --clean: remove without asking")
    return made


def collect(runs: Path, grid: Sequence[str] | None) -> list[Status]:
    """The runs of the grid, or else all below the folder."""
    if grid is not None:
        return [status(folder) for folder in declared(grid, runs)]
    if not runs.is_dir():
        raise UserError(f"{runs} does not exist; a run makes it, unless paths.runs= says otherwise")
    return [status(folder) for folder in runs_below(runs)]


def clean(root: Path, runs: Sequence[Status], without_asking: bool) -> None:
    """List the runs that failed before their first evaluation, and remove them after asking."""
    folders = failed_starts(RunFolder(run.folder) for run in runs)
    if not folders:
        print("no run failed before its first evaluation")
        return
    paths = {folder.path for folder in folders}
    unwrapped_console().print(table(root, [run for run in runs if run.folder in paths]))
    if not (without_asking or agreed(f"remove {len(folders)} folders?")):
        print("nothing is removed")
        return
    print(f"{sum(map(remove, folders))} of {len(folders)} folders are removed")


def agreed(question: str) -> bool:
    """Whether the user answers yes; no without a terminal, where --yes answers."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def report(root: Path, runs: Sequence[Status], everything: bool) -> None:
    shown = [run for run in runs if everything or run.state != "finished"]
    if shown:
        unwrapped_console().print(table(root, shown))
    counts = Counter(run.state for run in runs)
    said = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    left = seconds_left(runs)
    unknown = "" if counts["finished"] == len(runs) else ", time left unknown yet"
    estimate = f", about {format_duration(left)} left" if left else unknown
    used = format_duration(sum(run.seconds for run in runs))
    unwrapped_console().print(
        f"{len(runs)} runs: {said or 'none'}; {used} used{estimate}", highlight=False
    )


def table(root: Path, runs: Sequence[Status]) -> Grid:
    grid = Grid("state", "run", "done", "used", "", box=None, header_style="bold")
    grid.columns[1].overflow = grid.columns[4].overflow = "fold"
    for run in sorted(runs, key=lambda run: (STATES.index(run.state), run.folder)):
        path = run.folder.relative_to(root) if run.folder.is_relative_to(root) else run.folder
        used = format_duration(run.seconds) if run.seconds else ""
        grid.add_row(run.state, Text(str(path)), f"{run.done:.0%}", used, Text(run.note))
    return grid


if __name__ == "__main__":
    main(sys.argv[1:])
