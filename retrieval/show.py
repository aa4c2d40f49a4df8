"""Neighbours as text, as JSON and as a picture."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.table import Table as Grid
from rich.text import Text

from datasets.reader import read_image
from evaluation.figures.picture_grid import CORRECT, QUERY, WRONG, Picture, picture_grid

NO_NEIGHBORS = "no neighbour"


def as_table(queries: Sequence[str], neighbors: pd.DataFrame) -> Grid:
    """The neighbours of each query below its path."""
    grid = Grid("query", "rank", "similarity", "path", "label", box=None, header_style="bold")
    grid.columns[0].overflow = grid.columns[3].overflow = "fold"
    by_query = dict(list(neighbors.groupby("query", sort=False)))
    for query in queries:
        if query not in by_query:
            grid.add_row(Text(query), "", "", NO_NEIGHBORS, "")
            continue
        for row in by_query[query].itertuples():
            name = Text(query if row.rank == 1 else "")
            similarity = f"{row.similarity:.4f}"
            grid.add_row(name, str(row.rank), similarity, Text(row.path), Text(row.label))
    return grid


def as_json(queries: Sequence[str], neighbors: pd.DataFrame) -> str:
    """A list of queries, each with its list of neighbours: path, label and similarity."""
    columns = ["path", "label", "similarity"]
    by_query = dict(list(neighbors.groupby("query", sort=False)))
    content = [
        {
            "query": query,
            "neighbors": by_query[query][columns].to_dict("records") if query in by_query else [],
        }
        for query in queries
    ]
    return json.dumps(content, indent=2)


def as_picture(queries: Sequence[str], neighbors: pd.DataFrame) -> Figure:
    """A row of each query with its neighbours and their similarities.

    Where the labels of the query and of the neighbour are known, equal ones have a green frame and
    a tick, others a red frame and a cross; all other frames are black.
    """
    by_query = dict(list(neighbors.groupby("query", sort=False)))
    rows = [list(pictures(query, by_query.get(query))) for query in queries]
    return picture_grid({"": rows})


def pictures(query: str, neighbors: pd.DataFrame | None) -> Iterator[Picture]:
    """The pictures of a query and its neighbours."""
    found = [] if neighbors is None else list(neighbors.itertuples())
    label = found[0].query_label if found else ""
    yield Picture(read_image(query), QUERY, ["query", label or Path(query).name])
    for row in found:
        frame = QUERY
        if label and row.label:
            frame = CORRECT if row.label == label else WRONG
        lines = [f"{row.similarity:.3f}", row.label or Path(row.path).name]
        yield Picture(read_image(row.path), frame, lines)
