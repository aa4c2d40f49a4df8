"""A table as CSV for programs: one row per number, unrounded."""

import re

import pandas as pd

from reporting.table import Table, printable

FORMULA = re.compile(r"\s*[=+\-@]")  # what a spreadsheet would compute


def render(table: Table) -> str:
    """method, dataset, column, mean, spread, interval, n, best, second, tied."""
    rows = [
        {
            "method": text(row),
            "dataset": text(column.dataset),
            "column": text(column.heading),
            **vars(cell),
        }
        for row in table.rows
        for column in table.columns
        if (cell := column.cells.get(row)) is not None
    ]
    frame = pd.DataFrame(rows)
    frame["n"] = frame["n"].astype("Int64")
    caption = "".join(f"# {comment(line)}\n" for line in table.sentences)
    return caption + frame.to_csv(index=False)


def text(name: str) -> str:
    """A name that a spreadsheet takes for text: behind an apostrophe where it needs one."""
    name = printable(name)
    return f"'{name}" if FORMULA.match(name) else name


def comment(line: str) -> str:
    """A line of the caption, in which no cell of a spreadsheet begins a formula."""
    return re.sub(r"([,;]\s*)(?=[=+\-@])", r"\1'", printable(line))
