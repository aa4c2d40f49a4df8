"""Print a table of runs: methods by datasets and metrics, mean ± standard deviation over seeds.

    python -m scripts.aggregate runs/omniglot_small --metrics recall@1 map@r nmi
    python -m scripts.aggregate wandb=<entity>/<project> --reading selected --format latex
    python -m scripts.aggregate runs/ --reading oracle --published roth2020 --cost --commands

The caption states which epoch is reported (the reading); numbers of different readings cannot be
compared and never share a table. docs/results.md explains sources, options and marks.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.errors import UserError
from core.files import write_text_atomically
from engine.config.error_line import user_errors_as_one_line
from reporting import cost, significance
from reporting.best import NAMES, TESTS
from reporting.caption import caption
from reporting.command import command
from reporting.names import read_names, title, with_printed_names
from reporting.published import compared, sources
from reporting.readers.sources import CACHE, read_all
from reporting.rows import of_rows
from reporting.run import DAMAGED, Run, labels
from reporting.table import Table, missing_seeds, tabulate
from reporting.writers import csv_table, latex, markdown
from tracking.console import READINGS

COLUMNS = ("recall@1", "map@r", "nmi")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parser().parse_args(argv)
    with user_errors_as_one_line():
        runs = read_all(arguments.sources, arguments.cache, arguments.refresh)
        runs = chosen(of_rows(runs, arguments.rows), arguments)
        arguments.metrics = arguments.metrics or measured_columns(runs, arguments)
        text = rendered(runs, arguments)
        if arguments.out:
            write_text_atomically(arguments.out, text)
            print(arguments.out)
        else:
            print(text, end="")


def chosen(runs: Sequence[Run], arguments: argparse.Namespace) -> list[Run]:
    """The finished runs, or all that have numbers; a seed that is not there is an error.

    A damaged run, which was named before, is none, unless its seed is asked for; and a run that
    failed before its first evaluation counts as one that was never started.

    Raises:
        UserError: names the seeds, and those that are there and not finished.
    """
    kept = [run for run in runs if run.state == "finished" or arguments.unfinished]
    kept = [run for run in kept if any(run.readings.values())]
    damaged = {run.name for run in runs if run.state == DAMAGED}
    failed = {run.name for run in runs if run.failed_start}
    left_out = {run.name: run.state for run in runs if run not in kept and run.name not in damaged}
    left_out |= dict.fromkeys(failed, "failed before its first evaluation")
    skipped = [f"{name} ({state})" for name, state in left_out.items()]
    if not kept:
        unusable = len(skipped) + len(damaged)
        raise UserError(f"no finished run in {' '.join(arguments.sources)}; {unusable} are not")
    excused = set() if arguments.seeds else damaged
    started = [name for name in left_out if name not in failed]
    missing = [*dict.fromkeys([*missing_seeds(kept, arguments.seeds), *started])]
    missing = [name for name in missing if name not in excused]
    if missing and not arguments.allow_missing:
        named = [f"{name} ({left_out[name]})" if name in left_out else name for name in missing]
        raise UserError(f"missing {', '.join(named)}; --allow-missing prints n per cell")
    if skipped:
        print(f"left out: {', '.join(skipped)}", file=sys.stderr)
    return kept


def measured_columns(runs: Sequence[Run], arguments: argparse.Namespace) -> list[str]:
    """The default columns that a run measured; all of them where none did, which is an error."""
    found = {name for run in runs for name in run.readings.get(arguments.reading) or {}}
    return [name for name in COLUMNS if f"{arguments.split}/{name}" in found] or list(COLUMNS)


def rendered(runs: Sequence[Run], arguments: argparse.Namespace) -> str:
    """The table in the format that was asked for, or the tests."""
    if arguments.tests:
        return significance.render(runs, arguments.metrics, arguments.reading, arguments.split)
    table = complete(runs, arguments)
    if arguments.format == "csv":
        return csv_table.render(table)
    render = latex.render if arguments.format == "latex" else markdown.render
    if arguments.format == "latex" or arguments.names:
        table = with_printed_names(table, printed_names(arguments))
    return render(table, arguments.spread, show_n=bool(missing_seeds(runs, arguments.seeds)))


def complete(runs: Sequence[Run], arguments: argparse.Namespace) -> Table:
    """The table with its caption and all the columns and lines that were asked for."""
    methods = labels(runs)
    table = tabulate(runs, arguments.metrics, arguments.reading, arguments.split, arguments.test)
    for source in arguments.published:
        table = compared(table, runs, methods, source, (arguments.split, arguments.reading))
    if arguments.cost:
        table = replace(table, columns=[*table.columns, *cost.columns(runs, methods)])
    rows, datasets = table.rows[: arguments.top], sorted({run.dataset for run in runs})
    if arguments.commands:
        kept = [run for run in runs if methods[run.dataset, run.group] in rows]
        table = replace(table, commands=commands(kept))
    first = [f"First {len(rows)} of {len(table.rows)} rows, which all take part in the marks"]
    return replace(
        table,
        rows=rows,
        title=title(arguments.metrics, datasets, printed_names(arguments)),
        legend=legend(arguments),
        caption=[
            *caption(runs, arguments.reading, arguments.split),
            *(first if len(rows) < len(table.rows) else []),
        ],
    )


def printed_names(arguments: argparse.Namespace) -> dict[str, str]:
    """The user's own names, none without a file."""
    return read_names(arguments.names) if arguments.names else {}


def legend(arguments: argparse.Namespace) -> str:
    """What the numbers and marks are."""
    spread = "sample standard deviation" if arguments.spread == "spread" else "95 % t-interval"
    return (
        f"Mean ± {spread} over seeds, rates in percent; best bold, second underlined, † not "
        f"significantly worse than the best ({NAMES[arguments.test]}, 5 %)"
    )


def commands(runs: Sequence[Run]) -> dict[str, str]:
    """Of every group, the command that makes it."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.dataset, run.group), []).append(run)
    return {
        f"{dataset}/{group}": command(own[0], [run.seed for run in own])
        for (dataset, group), own in groups.items()
    }


def positive(text: str) -> int:
    """A whole number of rows from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1 expected, got {text}")
    return number


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.aggregate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("sources", nargs="+", help="folders of runs, wandb=<entity>/<project>, rdml=<folder>")
    columns = f"columns, the first one ranks the rows; default: {', '.join(COLUMNS)} if measured"
    add("--metrics", nargs="+", help=columns)
    epochs = "epoch: the last, the best on validation, the best on test"
    add("--reading", choices=READINGS, default="last", help=epochs)
    add("--split", choices=["test", "val", "train"], default="test", help="images measured")
    formats = ["markdown", "csv", "latex"]
    add("--format", choices=formats, default=formats[0], help="of the table")
    spread = "after ±: standard deviation, or half of the 95 %% interval"
    add("--spread", choices=["spread", "interval"], default="spread", help=spread)
    marks = "test of the mark †; docs/results.md compares them"
    add("--test", choices=TESTS, default=TESTS[0], help=marks)
    add("--seeds", type=int, nargs="+", default=[], help="seeds that every group must have")
    patterns = "only rows whose names match, such as 'triplet*'; the marks are among them"
    add("--rows", nargs="+", default=[], metavar="PATTERN", help=patterns)
    add("--top", type=positive, metavar="N", help="only the first N rows; the marks are among all")
    own = "CSV of plain name, printed name; LaTeX has the names of reporting/names.yaml without it"
    add("--names", type=Path, metavar="FILE", help=own)
    add("--allow-missing", action="store_true", help="show n in each cell instead of an error")
    add("--unfinished", action="store_true", help="include runs that are running or failed")
    published = "add published numbers and the difference: a CSV file, or " + ", ".join(sources())
    add("--published", nargs="+", default=[], metavar="SOURCE", help=published)
    add("--cost", action="store_true", help="add time, speed, memory and GPU hours")
    add("--commands", action="store_true", help="add the command that repeats each row")
    add("--tests", action="store_true", help="print the paired tests instead of the table")
    add("--out", type=Path, help="write the table to this file")
    add("--cache", type=Path, default=CACHE, help="folder that keeps downloads")
    add("--refresh", action="store_true", help="download again what may have changed")
    return parser


if __name__ == "__main__":
    main()
