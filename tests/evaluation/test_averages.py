"""Averages over classes and categories, and intervals, against loops and SciPy."""

import math
import statistics

import numpy as np
import pytest
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from scipy.stats import bootstrap, norm
from torch import Tensor

from evaluation.averages import Averages
from evaluation.bootstrap import MAX_DRAWS, bootstrap_intervals
from evaluation.evaluator import Evaluator
from evaluation.metrics.map_at_r import map_at_r
from evaluation.metrics.nmi import nmi
from evaluation.metrics.recall import recall_at_k
from evaluation.search.ranks import relevant_ranks


def recall(ranking: object) -> Tensor:
    return recall_at_k(ranking, k=1)


METRICS = {"recall@1": recall, "map@r": map_at_r}
EVERYTHING = Averages(by_class=True, by_category=True, bootstrap=200)


@pytest.fixture
def blobs() -> tuple[Tensor, Tensor, list[str]]:
    """Classes of very different sizes, one of a single sample; two categories."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 30 + [1] * 12 + [2] * 9 + [5] * 2 + [7] * 8 + [9])
    centers = torch.randn(10, 6, generator=generator)
    embeddings = centers[labels] + 1.2 * torch.randn(62, 6, generator=generator)
    return embeddings, labels, ["chair" if label < 3 else "sofa" for label in labels.tolist()]


def scores_of(blobs: tuple[Tensor, Tensor, list[str]]) -> dict[int, float]:
    """MAP@R of every query with something to find."""
    parts = relevant_ranks(*blobs[:2])
    return {
        q: score
        for queries, ranking in parts
        for q, score in zip(queries.tolist(), map_at_r(ranking).tolist(), strict=True)
    }


def test_averages_equal_loops(blobs: tuple[Tensor, Tensor, list[str]]) -> None:
    embeddings, labels, categories = blobs
    scores = scores_of(blobs)
    results = Evaluator(METRICS, averages=EVERYTHING)(embeddings, labels, categories=categories)
    kinds = ("class_average", "low", "high", "chair", "sofa")
    expected = [name for metric in METRICS for name in (metric, *(f"{metric}/{k}" for k in kinds))]
    assert list(results) == [*expected, "num_queries", "num_queries_excluded"]
    assert results["map@r"] == pytest.approx(statistics.mean(scores.values()), abs=1e-12)
    of_class = [
        statistics.mean(score for q, score in scores.items() if labels[q] == c)
        for c in (0, 1, 2, 5, 7)
    ]
    assert results["map@r/class_average"] == pytest.approx(statistics.mean(of_class), abs=1e-12)
    assert abs(results["map@r/class_average"] - results["map@r"]) > 0.01
    for category in ("chair", "sofa"):
        mean = statistics.mean(s for q, s in scores.items() if categories[q] == category)
        assert results[f"map@r/{category}"] == pytest.approx(mean, abs=1e-12)


def test_only_queries_make_categories(blobs: tuple[Tensor, Tensor, list[str]]) -> None:
    embeddings, labels, categories = blobs
    is_query = torch.arange(62) % 2 == 0
    is_query &= labels < 3  # no query in `sofa`
    evaluation = Evaluator(METRICS, averages=Averages(by_category=True))
    apart = evaluation(embeddings, labels, is_query, ~is_query, categories)
    assert apart["recall@1/chair"] == apart["recall@1"]
    assert "recall@1/sofa" not in apart
    without = evaluation(embeddings, labels, categories=[""] * 62)
    assert set(without) == {*METRICS, "num_queries", "num_queries_excluded"}


def test_class_average_agrees_with_pytorch_metric_learning(
    blobs: tuple[Tensor, Tensor, list[str]],
) -> None:
    embeddings, labels, _ = blobs
    unit = torch.nn.functional.normalize(embeddings)
    theirs = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r"),
        avg_of_avgs=True,
        k=None,
        device=torch.device("cpu"),
    ).get_accuracy(unit, labels)
    ours = Evaluator(METRICS, averages=Averages(by_class=True))(embeddings, labels)
    assert ours["recall@1/class_average"] == pytest.approx(theirs["precision_at_1"], abs=1e-6)
    expected = theirs["mean_average_precision_at_r"]
    assert ours["map@r/class_average"] == pytest.approx(expected, abs=1e-6)


def test_directions_follow_the_metric_and_a_spread_has_none() -> None:
    averages = Averages(by_class=True, bootstrap=10)
    evaluation = Evaluator({**METRICS, "nmi": nmi}, restarts=2, averages=averages)
    directions = evaluation.higher_is_better
    assert {name for name, better in directions.items() if better is None} == {
        *("nmi/std", "num_queries", "num_queries_excluded")
    }
    assert directions["recall@1/class_average"] is directions["map@r/high"] is True


def test_without_anything_to_find_every_average_is_undefined_and_says_so_once(
    blobs: tuple[Tensor, Tensor, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    embeddings, _, categories = blobs
    evaluation = Evaluator({"recall@1": recall}, averages=EVERYTHING)
    results = evaluation(embeddings, torch.arange(62), categories=categories)
    assert all(math.isnan(results[name]) for name in EVERYTHING.names("recall@1"))
    assert len(caplog.messages) == 1


def test_restarts_report_their_spread(blobs: tuple[Tensor, Tensor, list[str]]) -> None:
    embeddings, labels, _ = blobs
    single = [Evaluator({"nmi": nmi}, seed=seed)(embeddings, labels)["nmi"] for seed in range(4)]
    results = Evaluator({"nmi": nmi}, restarts=4)(embeddings, labels)
    assert list(results) == ["nmi", "nmi/std"]
    assert results["nmi"] == pytest.approx(statistics.mean(single), abs=1e-12)
    assert results["nmi/std"] == pytest.approx(statistics.stdev(single), abs=1e-12)
    impossible = Evaluator({"nmi": nmi}, restarts=2, num_clusters=63)(embeddings, labels)
    assert list(impossible) == ["nmi", "nmi/std"]
    assert all(map(math.isnan, impossible.values()))


def test_intervals_agree_with_scipy_and_with_theory() -> None:
    scores = torch.rand(2, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = bootstrap_intervals(scores, resamples=4000, confidence=0.9)
    for row, ends in zip(scores.numpy(), found.tolist(), strict=True):
        options = {"n_resamples": 4000, "confidence_level": 0.9, "method": "percentile"}
        theirs = bootstrap((row,), np.mean, rng=0, **options).confidence_interval
        half = norm.ppf(0.95) * row.std() / np.sqrt(400)
        assert ends == pytest.approx([theirs.low, theirs.high], abs=0.1 * half)
        assert ends == pytest.approx([row.mean() - half, row.mean() + half], abs=0.1 * half)


def test_intervals_are_percentiles_of_means_of_drawn_queries() -> None:
    scores = torch.tensor([[0.0, 1.0, 1.0], [5.0, 5.0, 5.0]])
    drawn = torch.randint(3, (50, 3), generator=torch.Generator().manual_seed(7))
    means = [scores[0, row].mean().item() for row in drawn]
    found = bootstrap_intervals(scores, resamples=50, confidence=0.8, seed=7)
    assert found[0].tolist() == pytest.approx(np.quantile(means, [0.1, 0.9]), abs=1e-7)
    assert found[1].tolist() == [5, 5]


def test_intervals_depend_on_the_seed_alone() -> None:
    scores = torch.rand(1, 50)
    state = torch.get_rng_state()
    first = bootstrap_intervals(scores, seed=1)
    assert bootstrap_intervals(scores, seed=1).equal(first)
    assert not bootstrap_intervals(scores, seed=2).equal(first)
    assert torch.get_rng_state().equal(state)
    many = torch.rand(1, MAX_DRAWS // 3)  # three resamples at a time
    ends = bootstrap_intervals(many, resamples=7, confidence=0.5)[0]
    assert ends[0] < many.mean() + 0.001
    assert ends[0] < ends[1]
    for wrong in ({"resamples": 0}, {"confidence": 1.0}, {"confidence": 0.0}):
        with pytest.raises(ValueError, match="at least one resample"):
            bootstrap_intervals(scores, **wrong)


def test_the_order_of_the_samples_does_not_move_averages(
    blobs: tuple[Tensor, Tensor, list[str]],
) -> None:
    """But for the interval, whose draws belong to positions."""
    embeddings, labels, categories = blobs
    order = torch.randperm(62, generator=torch.Generator().manual_seed(0))
    evaluation = Evaluator(METRICS, averages=Averages(by_class=True, by_category=True))
    expected = evaluation(embeddings, labels, categories=categories)
    there = [categories[i] for i in order]
    assert evaluation(embeddings[order], labels[order], categories=there) == pytest.approx(expected)
    tight = Evaluator(METRICS, averages=EVERYTHING, memory=3000)(embeddings, labels)
    roomy = Evaluator(METRICS, averages=EVERYTHING)(embeddings, labels)
    assert tight == pytest.approx(roomy, abs=1e-12)
