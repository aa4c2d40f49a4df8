"""One row per query: what it found, to look at and to compare two runs query by query."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Bool
from torch import Tensor

from core.files import write_atomically
from core.types import Embeddings, Labels
from evaluation.clustering.kmeans import kmeans
from evaluation.embedded_set import EmbeddedSet, SearchConfig
from evaluation.metrics.map import average_precision
from evaluation.metrics.metric import Metric
from evaluation.query_scores import QueryScores, score_queries
from evaluation.search.chunks import MEMORY
from evaluation.search.knn import NO_NEIGHBOR
from evaluation.search.space import Distance

PerQuery = pd.DataFrame
PREFIX = "per_query/"  # sets these scores apart from a metric that has their name
SCORES: dict[str, Metric] = {
    f"{PREFIX}num_relevant": lambda ranking: ranking.num_relevant,
    f"{PREFIX}first_hit": lambda ranking: ranking.ranks[:, 0],
    f"{PREFIX}average_precision": average_precision,
}
DTYPES = dict(zip(SCORES, ("Int64", "Int64", "float64"), strict=True))
SHARED_COLUMNS = ["label", "category", "num_relevant"]  # what two runs have in common


@torch.no_grad()
def per_query(
    embeddings: Embeddings,
    labels: Labels,
    is_query: Bool[Tensor, " N"] | None = None,
    is_gallery: Bool[Tensor, " N"] | None = None,
    *,
    categories: Sequence[str] | None = None,
    k: int = 10,
    distance: Distance = "cosine",
    memory: int = MEMORY,
) -> PerQuery:
    """What every query finds, those with nothing to find included.

    | column            | meaning                                                             |
    |-------------------|---------------------------------------------------------------------|
    | query             | index of the query in `embeddings`, ascending                       |
    | label, category   | of the query; category is empty if there are none                   |
    | num_relevant      | R, relevant items in the gallery                                    |
    | first_hit         | rank of the first relevant item, 1 is nearest; missing if R = 0     |
    | average_precision | `map` of this query; missing if R = 0                               |
    | neighbors         | its nearest gallery items, up to k, as indices in `embeddings`      |
    | distances         | to these, 1 - cosine or Euclidean                                   |

    Ranks put an irrelevant item before a relevant one exactly as near, so does every metric; among
    `neighbors` the lower index comes first.

    Args:
        is_query: None means every sample; `is_gallery` likewise.
        categories: super-class of each sample.
        k: neighbours kept of each query.
        distance: `cosine` or `euclidean`.
        memory: working memory in bytes.
    """
    config = SearchConfig(distance, kmeans, None, (), memory, k)
    embedded_set = EmbeddedSet(embeddings, labels, is_query, is_gallery, config)
    return query_table(embedded_set, score_queries(embedded_set, SCORES), categories, k)


def query_table(
    embedded_set: EmbeddedSet, query_scores: QueryScores, categories: Sequence[str] | None, k: int
) -> PerQuery:
    """The table of `per_query` from a search that others share.

    Args:
        scored: `SCORES` among its metrics.
        k: neighbours kept of each query, at most as many as were searched.
    """
    queries, labels = embedded_set.queries, embedded_set.labels
    neighbors = embedded_set.neighbors.first(k)
    query_indices = queries.tolist()
    category = "" if categories is None else [categories[q] for q in query_indices]
    table = pd.DataFrame(
        {"query": query_indices, "label": labels[queries].cpu(), "category": category}
    )
    scores = {name: query_scores.by_metric[name].cpu() for name in SCORES}
    relevant = pd.DataFrame({"query": query_scores.queries.cpu(), **scores}).astype(DTYPES)
    table = table.astype({"category": str}).merge(relevant, on="query", how="left")
    exists = neighbors.indices != NO_NEIGHBOR
    return table.rename(columns=lambda name: name.removeprefix(PREFIX)).assign(
        num_relevant=lambda table: table["num_relevant"].fillna(0).astype("int64"),
        neighbors=ragged_lists(neighbors.indices, exists),
        distances=ragged_lists(neighbors.distances, exists),
    )


def save(table: PerQuery, path: Path) -> None:
    """Write a Parquet file, whole or not at all; `pandas.read_parquet` reads it."""
    write_atomically(path, lambda file: table.to_parquet(file, index=False))


def ragged_lists(values: Tensor, exists: Tensor) -> "pd.Series[Any]":
    """The kept values of each row."""
    rows = zip(values.tolist(), exists.tolist(), strict=True)
    return pd.Series([[value for value, keep in zip(*row, strict=True) if keep] for row in rows])


def compare(before: PerQuery, after: PerQuery) -> pd.DataFrame:
    """Two runs on the same queries side by side, the most improved queries first.

    Columns: query, label, category, num_relevant, first_hit and average_precision of both
    (`_before`, `_after`), and `change`, the gain in average precision. Queries with nothing to
    find are left out.

    Raises:
        ValueError: the two are not about the same queries.
    """
    keys = ["query", *SHARED_COLUMNS]
    first, second = (
        run.sort_values("query").reset_index(drop=True)[[*keys, "first_hit", "average_precision"]]
        for run in (before, after)
    )
    if not first[keys].equals(second[keys]):
        different = "numbers" if len(first) != len(second) else "labels or indices"
        raise ValueError(f"these are not the same queries: their {different} differ")
    both = first.merge(second, on=keys, suffixes=("_before", "_after"))
    both = both[both["num_relevant"] > 0]
    both = both.assign(change=both["average_precision_after"] - both["average_precision_before"])
    return both.sort_values("change", ascending=False, kind="stable", ignore_index=True)
