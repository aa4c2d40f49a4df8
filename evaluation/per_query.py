"""One row per query: what it found, to look at and to compare two runs query by query."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool
from torch import Tensor

from core.files import write_atomically
from core.types import Embeddings, Labels
from evaluation.chunks import MEMORY
from evaluation.map import average_precision
from evaluation.measured_set import check, indices
from evaluation.nearest import NOBODY, nearest
from evaluation.neighbors import rank
from evaluation.space import Distance

PerQuery = pd.DataFrame
SAME = ["label", "category", "num_relevant"]  # what two runs have in common


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
    check(embeddings, labels)
    queries, gallery = indices(is_query, labels), indices(is_gallery, labels)
    found = nearest(embeddings, k, queries, gallery, distance=distance, memory=memory)
    chosen = queries.tolist()
    category = "" if categories is None else [categories[q] for q in chosen]
    table = pd.DataFrame({"query": chosen, "label": labels[queries].cpu(), "category": category})
    table = table.astype({"category": str})
    relevant = hits(embeddings, labels, queries, gallery, distance, memory)
    table = table.merge(relevant, on="query", how="left")
    kept = found.indices != NOBODY
    return table.assign(
        num_relevant=table["num_relevant"].fillna(0).astype("int64"),
        neighbors=lists(found.indices, kept),
        distances=lists(found.distances, kept),
    )


def save(table: PerQuery, path: Path) -> None:
    """Write a Parquet file, whole or not at all; `pandas.read_parquet` reads it."""
    write_atomically(path, lambda file: table.to_parquet(file, index=False))


def hits(
    embeddings: Embeddings,
    labels: Labels,
    queries: Tensor,
    gallery: Tensor,
    distance: Distance,
    memory: int,
) -> pd.DataFrame:
    """Relevant items, rank of the first, average precision of each query with any to find."""
    parts = [
        {
            "query": some.cpu().numpy(),
            "num_relevant": ranking.num_relevant.cpu().numpy(),
            "first_hit": ranking.ranks[:, 0].cpu().numpy(),
            "average_precision": average_precision(ranking).cpu().numpy(),
        }
        for some, ranking in rank(
            embeddings, labels, queries, gallery, distance=distance, memory=memory
        )
    ]
    columns = {"query": "int64", "num_relevant": "Int64", "first_hit": "Int64"}
    kinds = columns | {"average_precision": "float64"}
    merged = {name: np.concatenate([np.empty(0), *(p[name] for p in parts)]) for name in kinds}
    return pd.DataFrame(merged).astype(kinds)


def lists(values: Tensor, kept: Tensor) -> "pd.Series[Any]":
    """The kept values of each row."""
    rows = zip(values.tolist(), kept.tolist(), strict=True)
    return pd.Series([[value for value, keep in zip(*row, strict=True) if keep] for row in rows])


def compare(before: PerQuery, after: PerQuery) -> pd.DataFrame:
    """Two runs on the same queries side by side, the most improved queries first.

    Columns: query, label, category, num_relevant, first_hit and average_precision of both
    (`_before`, `_after`), and `change`, the gain in average precision. Queries with nothing to
    find are left out.

    Raises:
        ValueError: the two are not about the same queries.
    """
    keys = ["query", *SAME]
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
