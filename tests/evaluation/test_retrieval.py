"""Retrieval metrics: definitions in plain Python, numbers by hand, pytorch-metric-learning."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from sklearn.metrics import average_precision_score, ndcg_score
from torch import Tensor

from evaluation.metrics.map import average_precision
from evaluation.metrics.map_at_k import map_at_k
from evaluation.metrics.map_at_r import map_at_r
from evaluation.metrics.map_c import map_c
from evaluation.metrics.map_lim import map_lim
from evaluation.metrics.mrr import reciprocal_rank
from evaluation.metrics.ndcg import ndcg_at_k
from evaluation.metrics.precision import precision_at_k
from evaluation.metrics.r_precision import r_precision
from evaluation.metrics.ranking import ABSENT, Ranking
from evaluation.metrics.recall import recall_at_k
from evaluation.search.ranks import relevant_ranks

Definition = Callable[[list[bool]], float]  # hits of one query, nearest first -> its score


def cut_precision(hits: list[bool], depth: int, divisor: int) -> float:
    precisions = [sum(hits[:r]) / r for r in range(1, min(depth, len(hits)) + 1) if hits[r - 1]]
    return sum(precisions) / divisor


def gain(hits: list[bool], depth: int) -> float:
    return sum(1 / math.log2(r + 1) for r, hit in enumerate(hits[:depth], start=1) if hit)


def cut_ndcg(hits: list[bool], depth: int) -> float:
    return gain(hits, depth) / gain(sorted(hits, reverse=True), depth)


METRICS: dict[str, tuple[Callable[[Ranking], Tensor], Definition]] = {
    "recall@1": (partial(recall_at_k, k=1), lambda hits: float(hits[0])),
    "recall@4": (partial(recall_at_k, k=4), lambda hits: float(any(hits[:4]))),
    "recall@1000": (partial(recall_at_k, k=1000), lambda hits: float(any(hits))),
    "map@r": (map_at_r, lambda hits: cut_precision(hits, sum(hits), sum(hits))),
    "map_c": (map_c, lambda hits: cut_precision(hits, sum(hits) + 1, sum(hits) + 1)),
    "map_10": (partial(map_lim, k=10), lambda hits: cut_precision(hits, 10, sum(hits) + 1)),
    "map_1000": (partial(map_lim, k=1000), lambda h: cut_precision(h, 1000, sum(h) + 1)),
    "map": (average_precision, lambda hits: cut_precision(hits, 1000, sum(hits))),
    "map@1": (partial(map_at_k, k=1), lambda hits: cut_precision(hits, 1, 1)),
    "map@5": (partial(map_at_k, k=5), lambda hits: cut_precision(hits, 5, min(5, sum(hits)))),
    "map@100": (partial(map_at_k, k=100), lambda hits: cut_precision(hits, 100, sum(hits))),
    "precision@1": (partial(precision_at_k, k=1), lambda hits: sum(hits[:1])),
    "precision@5": (partial(precision_at_k, k=5), lambda hits: sum(hits[:5]) / 5),
    "precision@100": (partial(precision_at_k, k=100), lambda hits: sum(hits) / 100),
    "r_precision": (r_precision, lambda hits: sum(hits[: sum(hits)]) / sum(hits)),
    "mrr": (reciprocal_rank, lambda hits: 1 / (1 + hits.index(True))),
    "ndcg@1": (partial(ndcg_at_k, k=1), lambda hits: cut_ndcg(hits, 1)),
    "ndcg@7": (partial(ndcg_at_k, k=7), lambda hits: cut_ndcg(hits, 7)),
    "ndcg@100": (partial(ndcg_at_k, k=100), lambda hits: cut_ndcg(hits, 100)),
}


def hits_of(embeddings: Tensor, labels: list[int]) -> list[list[bool]]:
    """Relevance of the neighbours of each query that has any relevant one."""
    everyone = range(len(labels))
    rows = []
    for q in everyone:
        cosine = torch.cosine_similarity(embeddings[q].double(), embeddings.double(), dim=1)
        others = sorted((i for i in everyone if i != q), key=lambda i, c=cosine: -c[i].item())
        hits = [labels[i] == labels[q] for i in others]
        if any(hits):
            rows.append(hits)
    return rows


def mean_score(metric: Callable[[Ranking], Tensor], embeddings: Tensor, labels: Tensor) -> float:
    parts = [metric(ranking) for _, ranking in relevant_ranks(embeddings, labels, memory=10**4)]
    assert all(part.dtype == torch.float64 for part in parts)
    return torch.cat(parts).mean().item()


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("seed", range(3))
def test_equals_its_definition(name: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(50, 4, generator=generator)
    labels = torch.randint(0, 9, (50,), generator=generator)
    labels[0] = 99  # nothing to find
    metric, definition = METRICS[name]
    rows = hits_of(embeddings, labels.tolist())
    expected = sum(map(definition, rows)) / len(rows)
    assert mean_score(metric, embeddings, labels) == pytest.approx(expected, abs=1e-12)


def ranking_of(*ranks: list[int], outside: bool = False) -> Ranking:
    """Rankings of queries with the given ranks of relevant items, inside or outside the gallery."""
    widest = max(map(len, ranks))
    padded = torch.tensor([row + [ABSENT] * (widest - len(row)) for row in ranks])
    num_relevant = torch.tensor([len(row) for row in ranks])
    return Ranking(padded, num_relevant, num_relevant + (0 if outside else 1))


def test_by_hand() -> None:
    ranking = ranking_of([1, 2], [2, 4], [3, 4], [1, 2, 3, 4])
    expected = {
        "recall@1": [1, 0, 0, 1],
        "recall@4": [1, 1, 1, 1],
        "map@r": [1, 1 / 4, 0, 1],
        "map_c": [2 / 3, 1 / 6, 1 / 9, 4 / 5],
        "map_1000": [2 / 3, 1 / 3, (1 / 3 + 2 / 4) / 3, 4 / 5],
        "map": [1, 1 / 2, 5 / 12, 1],
        "map@1": [1, 0, 0, 1],
        "map@5": [1, 1 / 2, 5 / 12, 1],
        "precision@5": [2 / 5, 2 / 5, 2 / 5, 4 / 5],
        "r_precision": [1, 1 / 2, 0, 1],
        "mrr": [1, 1 / 2, 1 / 3, 1],
        "ndcg@1": [1, 0, 0, 1],
    }
    for name, scores in expected.items():
        found = METRICS[name][0](ranking)
        torch.testing.assert_close(found, torch.tensor(scores, dtype=torch.float64), msg=name)


def test_the_full_ranking_has_no_depth() -> None:
    far = ranking_of([1, 50_000])
    assert average_precision(far).item() == pytest.approx((1 + 2 / 50_000) / 2, abs=1e-12)
    assert reciprocal_rank(ranking_of([50_000])).item() == 1 / 50_000


@pytest.mark.parametrize("size", [2, 5, 30])
def test_perfect_rankings_score_what_the_docstrings_say(size: int) -> None:
    perfect = list(range(1, size))
    ones = (map_at_r, average_precision, partial(map_at_k, k=4), partial(ndcg_at_k, k=4))
    for metric in (*ones, r_precision, reciprocal_rank, partial(recall_at_k, k=1)):
        assert metric(ranking_of(perfect)).item() == pytest.approx(1)
    found = precision_at_k(ranking_of(perfect), k=4).item()
    assert found == pytest.approx(min(4, size - 1) / 4)
    for metric in (map_c, partial(map_lim, k=1000)):
        assert metric(ranking_of(perfect)).item() == pytest.approx((size - 1) / size)
        assert metric(ranking_of(perfect, outside=True)).item() == pytest.approx(1)


def test_a_relevant_item_beyond_the_depth_does_not_count() -> None:
    ranking = ranking_of([1000], [1001])
    assert METRICS["recall@1000"][0](ranking).tolist() == [1, 0]
    assert METRICS["map_1000"][0](ranking).tolist() == [1 / 1000 / 2, 0]


DEEP = [recall_at_k, map_lim, map_at_k, precision_at_k, ndcg_at_k]


@pytest.mark.parametrize("metric", DEEP)
def test_a_depth_below_one_is_an_error(metric: Callable[[Ranking, int], Tensor]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        metric(ranking_of([1]), 0)


def second_opinion(metric: str, *arguments: object) -> float:
    included = (metric, "precision_at_1")  # alone, their reciprocal rank fails
    calculator = AccuracyCalculator(include=included, k=None, device=torch.device("cpu"))
    return calculator.get_accuracy(*arguments)[metric]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("precision_at_1", "recall@1"),
        ("precision_at_1", "precision@1"),
        ("mean_average_precision_at_r", "map@r"),
        ("mean_average_precision", "map"),
        ("mean_reciprocal_rank", "mrr"),
        ("r_precision", "r_precision"),
    ],
)
@pytest.mark.parametrize("apart", [False, True], ids=["one set", "query and gallery"])
def test_agrees_with_pytorch_metric_learning(theirs: str, ours: str, apart: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 30, (200,), generator=generator)
    centers = torch.randn(30, 8, generator=generator)
    embeddings = centers[labels] + torch.randn(200, 8, generator=generator)
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    metric = METRICS[ours][0]
    if apart:
        queries, gallery = torch.arange(80), torch.arange(80, 200)
        expected = second_opinion(theirs, unit[:80], labels[:80], unit[80:], labels[80:])
        parts = [
            metric(ranking) for _, ranking in relevant_ranks(embeddings, labels, queries, gallery)
        ]
        found = torch.cat(parts).mean().item()
    else:
        expected = second_opinion(theirs, unit, labels)
        found = mean_score(metric, embeddings, labels)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("k", [1, 5, 50])
def test_agrees_with_scikit_learn_query_by_query(k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 6, (40,), generator=generator)
    embeddings = torch.randn(40, 5, generator=generator)
    cosine = torch.cosine_similarity(embeddings[:, None].double(), embeddings.double(), dim=2)
    for queries, ranking in relevant_ranks(embeddings, labels):
        ndcg, precision = ndcg_at_k(ranking, k).numpy(), average_precision(ranking).numpy()
        for i, q in enumerate(queries.tolist()):
            others = np.arange(40) != q
            relevant = (labels == labels[q]).numpy()[others]
            similar = cosine[q].numpy()[others]
            assert ndcg[i] == pytest.approx(ndcg_score([relevant], [similar], k=k), abs=1e-9)
            expected = average_precision_score(relevant, similar)
            assert precision[i] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_copies_and_ties_never_flatter(name: str) -> None:
    """All neighbours equally near: the irrelevant ones come first, whatever the order."""
    metric, definition = METRICS[name]
    labels = torch.tensor([0, 0, 0, 1, 1, 2])  # the last one has nothing to find
    hits = {0: [False] * 3 + [True] * 2, 1: [False] * 4 + [True]}
    expected = [definition(hits[label]) for label in (0, 0, 0, 1, 1)]
    for order in (torch.arange(6), torch.tensor([5, 3, 1, 4, 2, 0])):
        found = mean_score(metric, torch.ones(6, 3), labels[order])
        assert found == pytest.approx(sum(expected) / 5, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_with_one_class_only_every_neighbour_is_relevant(name: str) -> None:
    metric, definition = METRICS[name]
    found = mean_score(metric, torch.randn(9, 3), torch.zeros(9, dtype=torch.long))
    assert found == pytest.approx(definition([True] * 8), abs=1e-12)


def test_every_score_stays_in_its_range_and_in_its_relation() -> None:
    """Orders that hold for every query, whatever the embeddings."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 12, (150,), generator=generator)
    embeddings = torch.randn(150, 3, generator=generator)
    for _, ranking in relevant_ranks(embeddings, labels):
        scores = {name: metric(ranking) for name, (metric, _) in METRICS.items()}
        assert all(bool(((part >= 0) & (part <= 1)).all()) for part in scores.values())
        assert (scores["map@r"] <= scores["r_precision"]).all()
        assert (scores["map@r"] <= scores["map"]).all()
        assert (scores["recall@1"] <= scores["mrr"]).all()
        assert scores["precision@1"].equal(scores["recall@1"])
        assert scores["map@1"].equal(scores["recall@1"])
