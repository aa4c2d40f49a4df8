"""Retrieval metrics: definitions in plain Python, numbers by hand, pytorch-metric-learning."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch import Tensor

from evaluation.map_at_r import map_at_r
from evaluation.map_c import map_c
from evaluation.map_lim import map_lim
from evaluation.neighbors import rank
from evaluation.ranking import ABSENT, Ranking
from evaluation.recall import recall_at_k

Definition = Callable[[list[bool]], float]  # hits of one query, nearest first -> its score


def cut_precision(hits: list[bool], depth: int, divisor: int) -> float:
    precisions = [sum(hits[:r]) / r for r in range(1, min(depth, len(hits)) + 1) if hits[r - 1]]
    return sum(precisions) / divisor


METRICS: dict[str, tuple[Callable[[Ranking], Tensor], Definition]] = {
    "recall@1": (partial(recall_at_k, k=1), lambda hits: float(hits[0])),
    "recall@4": (partial(recall_at_k, k=4), lambda hits: float(any(hits[:4]))),
    "recall@1000": (partial(recall_at_k, k=1000), lambda hits: float(any(hits))),
    "map@r": (map_at_r, lambda hits: cut_precision(hits, sum(hits), sum(hits))),
    "map_c": (map_c, lambda hits: cut_precision(hits, sum(hits) + 1, sum(hits) + 1)),
    "map_10": (partial(map_lim, k=10), lambda hits: cut_precision(hits, 10, sum(hits) + 1)),
    "map_1000": (partial(map_lim, k=1000), lambda h: cut_precision(h, 1000, sum(h) + 1)),
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
    parts = [metric(ranking) for _, ranking in rank(embeddings, labels, memory=10**4)]
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
    }
    for name, scores in expected.items():
        found = METRICS[name][0](ranking)
        torch.testing.assert_close(found, torch.tensor(scores, dtype=torch.float64), msg=name)


@pytest.mark.parametrize("size", [2, 5, 30])
def test_perfect_rankings_score_what_the_docstrings_say(size: int) -> None:
    perfect = list(range(1, size))
    assert map_at_r(ranking_of(perfect)).item() == pytest.approx(1)
    for metric in (map_c, partial(map_lim, k=1000)):
        assert metric(ranking_of(perfect)).item() == pytest.approx((size - 1) / size)
        assert metric(ranking_of(perfect, outside=True)).item() == pytest.approx(1)


def test_a_relevant_item_beyond_the_depth_does_not_count() -> None:
    ranking = ranking_of([1000], [1001])
    assert METRICS["recall@1000"][0](ranking).tolist() == [1, 0]
    assert METRICS["map_1000"][0](ranking).tolist() == [1 / 1000 / 2, 0]


@pytest.mark.parametrize("metric", [recall_at_k, map_lim])
def test_a_depth_below_one_is_an_error(metric: Callable[[Ranking, int], Tensor]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        metric(ranking_of([1]), 0)


def second_opinion(metric: str, *arguments: object) -> float:
    calculator = AccuracyCalculator(include=(metric,), k=None, device=torch.device("cpu"))
    return calculator.get_accuracy(*arguments)[metric]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("precision_at_1", "recall@1"), ("mean_average_precision_at_r", "map@r")],
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
        parts = [metric(ranking) for _, ranking in rank(embeddings, labels, queries, gallery)]
        found = torch.cat(parts).mean().item()
    else:
        expected = second_opinion(theirs, unit, labels)
        found = mean_score(metric, embeddings, labels)
    assert found == pytest.approx(expected, abs=1e-6)
