"""Per-query table: one row per query with its scores and neighbours; compares two runs."""

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
from evaluation.search.ignored_items import Groups
from evaluation.search.neighbors import NO_NEIGHBOR
from evaluation.search.space import Distance

PerQuery = pd.DataFrame
PREFIX = "per_query/"  # avoids a clash with a metric of the same name
SCORES: dict[str, Metric] = {
    f"{PREFIX}num_relevant": lambda ranking: ranking.num_relevant,
    f"{PREFIX}first_hit": lambda ranking: ranking.ranks[:, 0],
    f"{PREFIX}average_precision": average_precision,
}
DTYPES = dict(zip(SCORES, ("Int64", "Int64", "float64"), strict=True))
SHARED_COLUMNS = ["label", "category", "num_relevant"]  # equal in two runs on the same queries


@torch.no_grad()
def per_query(
    embeddings: Embeddings,
    labels: Labels,
    is_query: Bool[Tensor, " N"] | None = None,
    is_gallery: Bool[Tensor, " N"] | None = None,
    *,
    categories: Sequence[str] | None = None,
    ignore_groups: Groups | None = None,
    k: int = 10,
    distance: Distance = "cosine",
    memory: int = MEMORY,
) -> PerQuery:
    """Per-query table: one row per query, including queries without a relevant item.

    | column            | meaning                                                             |
    |-------------------|---------------------------------------------------------------------|
    | query             | index of the query in `embeddings`, ascending                       |
    | label, category   | of the query; category is empty if the dataset has none             |
    | num_relevant      | R, number of relevant items in the gallery                          |
    | first_hit         | rank of the first relevant item, 1 is nearest; missing if R = 0     |
    | average_precision | `map` of this query; missing if R = 0                               |
    | neighbors         | the k nearest gallery items, as indices into `embeddings`           |
    | distances         | distances to the neighbours, 1 - cosine or Euclidean                |

    In ranks, as in every metric, an irrelevant item comes before a relevant item at the same
    distance. In `neighbors`, the item with the lower index comes first.

    Args:
        is_query: which samples are queries; None means all of them.
        is_gallery: which samples form the gallery; None means all of them.
        categories: super-class of each sample.
        ignore_groups: of the samples; a query ignores the items of its group, by default itself.
        k: number of neighbours listed per query.
        distance: `cosine` or `euclidean`.
        memory: working memory in bytes.
    """
    config = SearchConfig(distance, kmeans, None, (), memory, k)
    embedded_set = EmbeddedSet(embeddings, labels, is_query, is_gallery, config, ignore_groups)
    return query_table(embedded_set, score_queries(embedded_set, SCORES), categories, k)


def query_table(
    embedded_set: EmbeddedSet, query_scores: QueryScores, categories: Sequence[str] | None, k: int
) -> PerQuery:
    """Build the table of `per_query` from the scores of an earlier search.

    Args:
        query_scores: scores that include the metrics in `SCORES`.
        k: number of neighbours listed per query, at most the depth of the search.
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


def merge(parts: Sequence[tuple[PerQuery, Sequence[int]]]) -> PerQuery:
    """Merge the tables of parts of a set into one, in the order of the queries.

    Args:
        parts: table of each part, and the index in the set of each of its samples.
    """
    tables = [
        table.assign(
            query=[positions[query] for query in table["query"]],
            neighbors=table["neighbors"].map(lambda row, p=positions: [p[item] for item in row]),
        )
        for table, positions in parts
    ]
    return pd.concat(tables).sort_values("query", ignore_index=True)


def save(table: PerQuery, path: Path) -> None:
    """Write the table to a Parquet file atomically; `pandas.read_parquet` reads it."""
    write_atomically(path, lambda file: table.to_parquet(file, index=False))


def ragged_lists(values: Tensor, exists: Tensor) -> "pd.Series[Any]":
    """The values of each row that exist, as lists."""
    rows = zip(values.tolist(), exists.tolist(), strict=True)
    return pd.Series([[value for value, keep in zip(*row, strict=True) if keep] for row in rows])


def compare(before: PerQuery, after: PerQuery) -> pd.DataFrame:
    """Compare two runs on the same queries, the most improved queries first.

    Columns: query, label, category, num_relevant, first_hit and average_precision of both runs
    (`_before`, `_after`), and `change`, the difference in average precision. Queries without a
    relevant item are excluded.

    Raises:
        ValueError: the two tables have different queries.
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
