"""Figures of two evaluations of the same queries: which become right or wrong."""

import pandas as pd
from matplotlib.figure import Figure

from datasets.images import Images
from datasets.reader import read_image
from evaluation.figures.neighbor_grid import Answer
from evaluation.figures.query_changes import changed_queries
from evaluation.per_query import PerQuery

DEPTH = 4  # neighbours of each query, of each evaluation; with the query, the width of a page


def query_changes(
    both: pd.DataFrame,
    tables: tuple[PerQuery, PerQuery],
    images: Images,
    names: tuple[str, str],
    limit: int,
) -> Figure:
    """Queries that become right and wrong, of different classes, those that change most first.

    Args:
        both: see `evaluation.per_query.compare`; the most improved queries come first.
        tables: the queries before and after, with their class and neighbours.
        images: of the split that was evaluated.
        names: of the two evaluations.
        limit: number of queries of each kind.

    Raises:
        ValueError: no query changes.
    """
    was_right, is_right = both["first_hit_before"] == 1, both["first_hit_after"] == 1
    chosen = {
        "becomes right": both[~was_right & is_right],
        "becomes wrong": both[was_right & ~is_right][::-1],
    }
    rows = [table.set_index("query") for table in tables]
    groups = {
        name: [
            (answer(images, rows[0], query), answer(images, rows[1], query))
            for query in queries.drop_duplicates("label").head(limit)["query"]
        ]
        for name, queries in chosen.items()
    }
    return changed_queries(groups, names)


def answer(images: Images, table: pd.DataFrame, query: int) -> Answer:
    """What one evaluation finds."""
    row = table.loc[query]
    found = [int(item) for item in row["neighbors"][:DEPTH]]
    own = str(row["class"])
    # labels are classes, or super-classes where `evaluation.level=category`
    by_class = images.class_names[images.labels[query]] == own
    names = [
        images.class_names[images.labels[item]] if by_class else images.categories[item]
        for item in found
    ]
    return Answer(
        query=read_image(images.paths[query]),
        lines=[own],
        found=[read_image(images.paths[item]) for item in found],
        names=names,
        is_right=[name == own for name in names],
    )
