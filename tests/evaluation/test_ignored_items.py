"""Items that a query ignores, against lists in plain Python that leave them out."""

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.evaluator import Evaluator
from evaluation.metrics.fnmr import fnmr_at_fmr
from evaluation.metrics.map_at_r import map_at_r
from evaluation.metrics.map_c import map_c
from evaluation.metrics.mrr import reciprocal_rank
from evaluation.metrics.recall import recall_at_k
from evaluation.per_query import per_query
from evaluation.search.knn import nearest_neighbors
from evaluation.search.neighbors import NO_NEIGHBOR
from evaluation.search.pairs import Pairs
from evaluation.search.ranks import relevant_ranks

NUM = 90
BACKENDS = ["torch", "two_stage", "faiss"]
each_backend = pytest.mark.parametrize("backend", BACKENDS)
each_distance = pytest.mark.parametrize("distance", ["cosine", "euclidean"])


@pytest.fixture(params=["one set", "query and gallery"])
def samples(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Embeddings with copies, labels, groups over several classes, queries and gallery."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 6, (NUM,), generator=generator)
    embeddings = torch.randn(6, 4, generator=generator)[labels]
    embeddings += torch.randn(NUM, 4, generator=generator)
    embeddings[40:50] = embeddings[30:40]
    groups = torch.randint(0, 12, (NUM,), generator=generator) * 7 - 3
    labels[60:62], groups[60:62] = 6, 90  # query 60 ignores all that it could find
    everyone = torch.arange(NUM)
    if request.param == "one set":
        return embeddings, labels, groups, everyone, everyone
    return embeddings, labels, groups, everyone[::3], everyone[torch.arange(NUM) % 3 > 0]


def far(embeddings: Tensor, distance: str) -> np.ndarray:
    x = embeddings.double().numpy()
    if distance == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return np.linalg.norm(x[:, None] - x[None], axis=2).round(9)


def candidates(query: int, groups: Tensor, gallery: Tensor) -> list[int]:
    return [g for g in gallery.tolist() if g != query and groups[g] != groups[query]]


def hits(samples: tuple[Tensor, ...], distance: str) -> dict[int, list[bool]]:
    """Whether each candidate of a query is relevant, nearest first, irrelevant first at a tie."""
    embeddings, labels, groups, queries, gallery = samples
    away, found = far(embeddings, distance), {}
    for q in queries.tolist():
        order = sorted(
            (away[q, g], bool(labels[g] == labels[q])) for g in candidates(q, groups, gallery)
        )
        if any(relevant for _, relevant in order):
            found[q] = [relevant for _, relevant in order]
    return found


@each_backend
@each_distance
def test_ranks_leave_out_ignored_items(
    samples: tuple[Tensor, ...], distance: str, backend: str
) -> None:
    embeddings, labels, groups, queries, gallery = samples
    expected = {
        q: [rank for rank, relevant in enumerate(row, start=1) if relevant]
        for q, row in hits(samples, distance).items()
    }
    found = {}
    for chunk, ranking in relevant_ranks(
        embeddings, labels, queries, gallery, groups=groups, distance=distance, backend=backend
    ):
        in_gallery = torch.isin(chunk, gallery)
        assert ranking.class_size.equal(ranking.num_relevant + in_gallery)
        for q, ranks, num in zip(chunk.tolist(), ranking.ranks, ranking.num_relevant, strict=True):
            found[q] = ranks[:num].tolist()
    assert found == expected
    assert len(found) == len(queries) - (2 if len(queries) == NUM else 1)
    assert 60 not in found


@each_backend
@each_distance
def test_neighbors_leave_out_ignored_items(
    samples: tuple[Tensor, ...], distance: str, backend: str
) -> None:
    embeddings, _, groups, queries, gallery = samples
    embeddings = embeddings + torch.randn(NUM, 4) / 100  # no copies: faiss may choose any of them
    away = far(embeddings, distance)
    for k in (3, len(gallery)):
        found = nearest_neighbors(
            embeddings, k, queries, gallery, groups=groups, distance=distance, backend=backend
        )
        for q, row, distances in zip(queries.tolist(), found.indices, found.distances, strict=True):
            expected = sorted(candidates(q, groups, gallery), key=lambda g, q=q: away[q, g])[:k]
            real = row != NO_NEIGHBOR
            assert row[real].tolist() == expected
            assert distances[~real].isinf().all()
            assert not real[len(expected) :].any()


@each_backend
def test_metrics_are_means_over_lists_without_ignored_items(
    samples: tuple[Tensor, ...], backend: str
) -> None:
    embeddings, labels, groups, queries, gallery = samples
    is_query, is_gallery = torch.zeros(2, NUM, dtype=torch.bool)
    is_query[queries], is_gallery[gallery] = True, True
    metrics = {
        "recall@1": lambda ranking: recall_at_k(ranking, k=1),
        "recall@4": lambda ranking: recall_at_k(ranking, k=4),
        "map@r": map_at_r,
        "mrr": reciprocal_rank,
    }
    evaluate = Evaluator(metrics, backend=backend)
    arguments = (embeddings, labels, is_query, is_gallery, None, groups)
    results, table = evaluate.with_queries(*arguments, k=3)
    assert results == evaluate(*arguments)
    rows = hits(samples, "cosine")

    def map_at_r_of(row: list[bool]) -> float:
        r = sum(row)
        return sum(sum(row[:i]) / i for i in range(1, r + 1) if row[i - 1]) / r

    assert results["num_queries"] == len(rows)
    assert results["num_queries_excluded"] == len(queries) - len(rows)
    assert results["recall@1"] == pytest.approx(np.mean([row[0] for row in rows.values()]))
    assert results["recall@4"] == pytest.approx(np.mean([any(row[:4]) for row in rows.values()]))
    assert results["mrr"] == pytest.approx(
        np.mean([1 / (1 + r.index(True)) for r in rows.values()])
    )
    assert results["map@r"] == pytest.approx(np.mean([map_at_r_of(r) for r in rows.values()]))
    assert results != evaluate(*arguments[:4])
    for row in table.itertuples():
        assert all(groups[g] != groups[row.query] for g in row.neighbors)
        assert row.num_relevant == sum(rows.get(row.query, []))
    alone = per_query(*arguments[:4], ignore_groups=groups, k=3)
    assert alone["neighbors"].tolist() == table["neighbors"].tolist()


def test_a_group_of_its_own_for_each_sample_changes_nothing(samples: tuple[Tensor, ...]) -> None:
    embeddings, labels, _, queries, gallery = samples
    own = torch.arange(NUM).flip(0) + 5
    for backend in BACKENDS:
        options = {"backend": backend}
        plain = list(relevant_ranks(embeddings, labels, queries, gallery, **options))
        grouped = list(relevant_ranks(embeddings, labels, queries, gallery, groups=own, **options))
        for (first, one), (second, other) in zip(plain, grouped, strict=True):
            assert first.equal(second)
            assert all(a.equal(b) for a, b in zip(one, other, strict=True))


def test_a_group_without_a_candidate_left_has_no_neighbors() -> None:
    embeddings, labels = torch.randn(6, 3), torch.tensor([0, 0, 0, 1, 1, 1])
    groups = torch.zeros(6, dtype=torch.int64)
    for backend in BACKENDS:
        assert list(relevant_ranks(embeddings, labels, groups=groups, backend=backend)) == []
        found = nearest_neighbors(embeddings, 2, groups=groups, backend=backend)
        assert (found.indices == NO_NEIGHBOR).all()


def test_pairs_leave_out_ignored_items(samples: tuple[Tensor, ...]) -> None:
    embeddings, labels, groups, queries, gallery = samples
    x = torch.nn.functional.normalize(embeddings).double()
    positives, negatives = [], []
    for q in queries.tolist():
        for g in candidates(q, groups, gallery):
            (positives if labels[q] == labels[g] else negatives).append(float(x[q] @ x[g]))
    threshold = sorted(negatives, reverse=True)[int(0.1 * len(negatives))]
    expected = np.mean([similarity <= threshold for similarity in positives])
    for memory in (10**4, 10**7):
        pairs = Pairs(embeddings, labels, queries, gallery, groups=groups, memory=memory)
        assert fnmr_at_fmr(pairs, 0.1).item() == pytest.approx(expected, abs=1 / len(positives))


def test_the_size_of_a_class_is_counted_without_ignored_items() -> None:
    """map_c divides by the size of the class of the query, the query included."""
    embeddings, labels = torch.eye(5)[[0, 0, 0, 1, 2]] + 0.1, torch.tensor([0, 0, 0, 0, 1])
    groups = torch.tensor([0, 0, 1, 2, 3])
    (chunk, ranking), *_ = relevant_ranks(embeddings, labels, torch.tensor([0]), groups=groups)
    assert (chunk.tolist(), ranking.ranks.tolist()) == ([0], [[1, 3]])
    assert (ranking.num_relevant.item(), ranking.class_size.item()) == (2, 3)
    assert map_c(ranking).item() == pytest.approx((1 + 2 / 3) / 3)
