"""Neighbours of query images: one row per neighbour, with its path and similarity."""

import numpy as np
import pandas as pd

from retrieval.image_index import NO_IMAGE, ImageIndex
from retrieval.rows import Rows


def with_known_labels(queries: Rows, index: ImageIndex) -> Rows:
    """The queries, where those without a label that are in the index have the label there."""
    images = index.images[index.images["path"].isin(queries.paths)]
    known = dict(zip(images["path"], images["label"], strict=True))
    pairs = zip(queries.paths, queries.labels, strict=True)
    return queries._replace(labels=[label or known.get(path, "") for path, label in pairs])


def find_neighbors(
    index: ImageIndex,
    queries: Rows,
    k: int,
    min_similarity: float | None = None,
    include_self: bool = False,
) -> pd.DataFrame:
    """Find the `k` most similar images of each query, most similar first.

    A query that is in the index, by its path, is not its own neighbour unless `include_self`. A
    query has fewer than `k` neighbours if there are no more, or none above `min_similarity`.

    Returns:
        a table with the columns query, query_label, rank (from 1), path, label and similarity.

    Raises:
        ImageIndexError: see `retrieval.image_index.ImageIndex.search`.
    """
    index.check(queries.vectors, k)
    found = index.search(queries.vectors, min(k if include_self else k + 1, len(index)))
    row, column = np.nonzero(found.ids != NO_IMAGE)
    images = index.images.iloc[np.searchsorted(index.images["id"], found.ids[row, column])]
    table = pd.DataFrame(
        {
            "query": pd.array(queries.paths, dtype="str")[row],
            "query_label": pd.array(queries.labels, dtype="str")[row],
            "path": images["path"].array,
            "label": images["label"].array,
            "similarity": found.similarities[row, column],
        }
    )
    keep = np.ones(len(table), bool)
    if not include_self:
        keep &= (table["path"] != table["query"]).to_numpy()
    if min_similarity is not None:
        keep &= (table["similarity"] >= min_similarity).to_numpy()
    table, row = table[keep], row[keep]
    table.insert(2, "rank", table.groupby(row).cumcount() + 1)
    return table[table["rank"] <= k].reset_index(drop=True)
