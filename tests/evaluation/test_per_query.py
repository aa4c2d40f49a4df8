"""The table of queries against loops, and two runs side by side."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from evaluation import embedded_set
from evaluation.evaluator import Evaluator
from evaluation.metrics.map import average_precision
from evaluation.metrics.mrr import reciprocal_rank
from evaluation.per_query import compare, per_query, save
from evaluation.search.neighbors import Neighbors

COLUMNS = ["query", "label", "category", "num_relevant", "first_hit", "average_precision"]


@pytest.fixture
def blobs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 7
    labels[11] = 70  # nothing to find
    centers = torch.randn(71, 5, generator=generator)
    return centers[labels] + torch.randn(40, 5, generator=generator), labels


@pytest.mark.parametrize("apart", [False, True], ids=["one set", "query and gallery"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_every_row_equals_a_sorted_list(
    blobs: tuple[Tensor, Tensor], apart: bool, distance: str
) -> None:
    embeddings, labels = blobs
    is_query = torch.arange(40) < 15 if apart else torch.ones(40, dtype=torch.bool)
    is_gallery = ~is_query if apart else is_query
    categories = [f"kind {label % 2}" for label in labels.tolist()]
    options = {"categories": categories, "k": 4, "distance": distance, "memory": 5000}
    table = per_query(embeddings, labels, is_query, is_gallery, **options)
    assert list(table.columns) == [*COLUMNS, "neighbors", "distances"]
    assert table["query"].tolist() == list(range(15 if apart else 40))
    x = embeddings.double().numpy()
    x = x / np.linalg.norm(x, axis=1, keepdims=True) if distance == "cosine" else x
    for row in table.itertuples():
        q = row.query
        apart_by = np.linalg.norm(x - x[q], axis=1)
        apart_by = apart_by**2 / 2 if distance == "cosine" else apart_by
        others = [g for g in np.argsort(apart_by) if g != q and is_gallery[g]]
        ranks = [r for r, g in enumerate(others, start=1) if labels[g] == labels[q]]
        assert (row.label, row.category) == (int(labels[q]), categories[q])
        assert row.num_relevant == len(ranks)
        assert row.neighbors == others[:4]
        assert row.distances == pytest.approx(apart_by[others[:4]], abs=1e-6)
        if ranks:
            assert row.first_hit == ranks[0]
            precisions = [i / r for i, r in enumerate(ranks, start=1)]
            assert row.average_precision == pytest.approx(np.mean(precisions), abs=1e-12)
        else:
            assert pd.isna(row.first_hit)
            assert np.isnan(row.average_precision)


@pytest.mark.parametrize("apart", [False, True], ids=["one set", "query and gallery"])
def test_metrics_and_table_come_from_one_search(
    blobs: tuple[Tensor, Tensor], apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []
    for name in ("relevant_ranks", "nearest_neighbors"):
        search = getattr(embedded_set, name)

        def counted(*args: Any, name: str = name, search: Any = search, **options: Any) -> Any:  # noqa: ANN401
            searches.append(name)
            return search(*args, **options)

        monkeypatch.setattr(embedded_set, name, counted)
    metrics = {"first_hit": reciprocal_rank, "map": average_precision, "k_occurrence": occurrence}
    roles = [torch.arange(40) < 15, torch.arange(40) >= 10] if apart else [None, None]
    categories = [f"kind {label % 2}" for label in blobs[1].tolist()]
    evaluation = Evaluator(metrics, distance="euclidean")
    results, table = evaluation.with_queries(*blobs, *roles, categories, k=4)
    assert sorted(searches) == ["nearest_neighbors", "relevant_ranks"]
    assert results == evaluation(*blobs, *roles, categories)
    alone = per_query(*blobs, *roles, categories=categories, k=4, distance="euclidean")
    pd.testing.assert_frame_equal(table, alone)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        evaluation.with_queries(*blobs, k=0)


def occurrence(neighbors: Neighbors, k: int = 7) -> Tensor:
    assert neighbors.indices.shape[1] == k
    return neighbors.distances.mean()


def test_means_of_the_table_are_the_metrics(blobs: tuple[Tensor, Tensor]) -> None:
    results = Evaluator({"map": average_precision, "mrr": reciprocal_rank})(*blobs)
    table = per_query(*blobs)
    assert table["average_precision"].mean() == pytest.approx(results["map"], abs=1e-12)
    assert (1 / table["first_hit"]).mean() == pytest.approx(results["mrr"], abs=1e-12)
    assert (table["num_relevant"] > 0).sum() == results["num_queries"]


def test_a_small_gallery_and_no_relevant_item_at_all(blobs: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = blobs
    one_left = torch.arange(40) == 11
    table = per_query(embeddings, labels, None, one_left, k=3)
    assert table["neighbors"].tolist() == [[11]] * 11 + [[]] + [[11]] * 28
    assert table["num_relevant"].tolist() == [0] * 40
    assert table["first_hit"].isna().all()
    assert table["category"].tolist() == [""] * 40


def test_the_file_holds_the_table(blobs: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    table = per_query(*blobs, k=3)
    save(table, tmp_path / "per_query.parquet")
    read = pd.read_parquet(tmp_path / "per_query.parquet")
    assert read.dtypes[COLUMNS].equals(table.dtypes[COLUMNS])
    assert read[COLUMNS].equals(table[COLUMNS])
    assert [list(row) for row in read["neighbors"]] == table["neighbors"].tolist()
    assert compare(table, read)["change"].eq(0).all()


def test_two_runs_side_by_side(blobs: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = blobs
    better = embeddings.clone()
    better[labels == 3] = torch.eye(5)[0] * 9
    before, after = per_query(embeddings, labels), per_query(better, labels)
    both = compare(before, after.sample(frac=1, random_state=0))  # in any order
    assert 11 not in both["query"].tolist()
    assert len(both) == 39
    assert both["change"].is_monotonic_decreasing
    assert both["average_precision_after"][both["label"] == 3].tolist() == [1] * 6
    for row in both.itertuples():
        assert row.first_hit_before == before["first_hit"][row.query]
        assert row.average_precision_after == after["average_precision"][row.query]
        change = row.average_precision_after - row.average_precision_before
        assert row.change == pytest.approx(change, abs=1e-12)


def test_different_queries_cannot_be_compared(blobs: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = blobs
    table = per_query(embeddings, labels)
    with pytest.raises(ValueError, match="numbers differ"):
        compare(table, table[:-1])
    with pytest.raises(ValueError, match="labels or indices differ"):
        compare(table, per_query(embeddings, labels.flip(0)))
    with pytest.raises(ValueError, match="not finite"):
        per_query(embeddings * torch.inf, labels)
