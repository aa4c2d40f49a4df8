"""Recall of an index: the share of the true neighbours that it finds."""

from typing import Any

import numpy as np
from faiss import METRIC_INNER_PRODUCT
from faiss.contrib.exhaustive_search import knn_ground_truth

from engine.progress import spinner
from retrieval.image_index import ImageIndex
from retrieval.rows import Source, random_vectors

SEED = 1  # of the queries


def recall_against_exact(index: ImageIndex, source: Source, k: int, num_queries: int) -> float:
    """Recall of an index that was just built: the share of the `k` true neighbours that it finds.

        mean over queries q of |found_k(q) ∩ nearest_k(q)| / k

    Random images of the index are the queries; a query is no neighbour of itself. The true
    neighbours are those of an exact search among all rows, batch by batch.

    Args:
        index: the index of all rows of the source, in their order.
        source: the rows.
        k: at most the number of rows less one.
        num_queries: number of queries, at most the number of rows.
    """
    with spinner("measuring the recall"):
        own, queries = random_vectors(source, num_queries, SEED)
        vectors = (rows.vectors for rows in source)
        exact_search: Any = knn_ground_truth
        _, nearest = exact_search(queries, vectors, k + 1, METRIC_INNER_PRODUCT)
        found = index.search(queries, k + 1).ids
    true, found = (without_self(ids, own, k) for ids in (nearest, found))
    return float((found[:, :, None] == true[:, None, :]).any(axis=2).mean())


def without_self(ids: np.ndarray, own: np.ndarray, k: int) -> np.ndarray:
    """The first `k` ids (Q, k) of each row, without the query's own."""
    is_own = ids == own[:, None]
    order = np.argsort(is_own, axis=1, kind="stable")
    return np.take_along_axis(ids, order, axis=1)[:, :k]
