"""A table as CSV for programs: one row per number, unrounded."""

import pandas as pd

from scripts.results.table import Table


def render(table: Table) -> str:
    """method, dataset, column, mean, spread, interval, n, best, second, tied."""
    rows = [
        {"method": row, "dataset": column.dataset, "column": column.heading, **vars(cell)}
        for row in table.rows
        for column in table.columns
        if (cell := column.cells.get(row)) is not None
    ]
    frame = pd.DataFrame(rows)
    frame["n"] = frame["n"].astype("Int64")
    return "".join(f"# {line}\n" for line in table.caption) + frame.to_csv(index=False)
