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
        columns = by_query[query][["rank", "similarity", "path", "label"]]
        for rank, similarity, path, label in columns.itertuples(index=False, name=None):
            name = Text(query if rank == 1 else "")
            grid.add_row(name, str(rank), f"{similarity:.4f}", Text(path), Text(label))
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
    own = "" if neighbors is None else neighbors["query_label"].iloc[0]
    yield Picture(read_image(query), QUERY, ["query", own or Path(query).name])
    if neighbors is None:
        return
    columns = neighbors[["similarity", "path", "label"]]
    for similarity, path, label in columns.itertuples(index=False, name=None):
        frame = QUERY
        if own and label:
            frame = CORRECT if label == own else WRONG
        yield Picture(read_image(path), frame, [f"{similarity:.3f}", label or Path(path).name])
