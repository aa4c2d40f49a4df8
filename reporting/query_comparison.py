"""Comparison of two evaluations query by query: reads their tables, and shows what changed."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
from pandas.api.types import is_numeric_dtype
from pyarrow import ArrowException
from rich.table import Table as Grid

from core.errors import UserError, in_one_line
from evaluation.bootstrap import bootstrap_intervals
from evaluation.per_query import PerQuery

FILE = "queries.parquet"
NUMBERS = ("query", "label", "num_relevant", "first_hit", "average_precision")
SHOWN = 5  # queries at each end


def read_queries(path: Path) -> PerQuery:
    """Reads queries.parquet, or the one in a folder.

    Raises:
        UserError: the file is missing, damaged or of another kind.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{file} does not exist; python -m scripts.evaluate run=... writes it")
    try:
        table = pd.read_parquet(file)
    except (OSError, ValueError, ArrowException) as error:
        raise UserError(
            f"{file} is damaged, or not a Parquet file ({in_one_line(error)})"
        ) from error
    wrong = [name for name in (*NUMBERS, "category") if name not in table]
    wrong += [name for name in NUMBERS if name in table and not is_numeric_dtype(table[name])]
    if wrong:
        raise UserError(
            f"{file} is not a file of python -m scripts.evaluate: no {', '.join(wrong)}"
        )
    return table


def comparison(both: pd.DataFrame) -> Iterator[Grid | str]:
    """Parts to print: both means, how many queries changed, and those that changed most.

    Raises:
        UserError: no query has a relevant item.
    """
    if both.empty:
        raise UserError("no query of these has anything to find")
    yield means(both)
    counts = both["change"].map(lambda change: (change > 0) - (change < 0)).value_counts()
    better, same, worse = (int(counts.get(sign, 0)) for sign in (1, 0, -1))
    yield f"{better} queries better, {worse} worse, {same} the same in average precision"
    yield extremes(both)


def means(both: pd.DataFrame) -> Grid:
    """Recall@1 and mAP of both runs, and the change with its bootstrap interval."""
    grid = Grid("metric", "before", "after", "change", "95 % interval", box=None)
    scores = {
        "recall@1": [both[f"first_hit_{run}"] == 1 for run in ("before", "after")],
        "map": [both[f"average_precision_{run}"] for run in ("before", "after")],
    }
    for name, runs in scores.items():
        first, second = (torch.from_numpy(run.to_numpy("float64", copy=True)) for run in runs)
        change = second - first
        low, high = bootstrap_intervals(change[None])[0].tolist()
        cells = (first.mean(), second.mean())
        grid.add_row(
            name,
            *(f"{cell:.4f}" for cell in cells),
            f"{change.mean():+.4f}",
            f"{low:+.4f} .. {high:+.4f}",
        )
    return grid


def extremes(both: pd.DataFrame) -> Grid:
    """The queries that gained most and those that lost most."""
    columns = ["query", "label", "first_hit_before", "first_hit_after", "change"]
    grid = Grid(*columns, box=None)
    shown = both if len(both) <= 2 * SHOWN else pd.concat([both[:SHOWN], both[-SHOWN:]])
    for row in shown[columns].itertuples(index=False):
        *cells, change = row
        grid.add_row(*map(str, cells), f"{change:+.3f}")
    return grid
