"""Evaluation within categories, against loops, single evaluations and pytorch-metric-learning."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pytorch_metric_learning.testers import WithSameParentLabelTester
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch import Tensor, nn
from torch.utils.data import Dataset

from evaluation.averages import Averages
from evaluation.categories import CategoryError, mean_over_categories
from evaluation.clustering.kmeans import kmeans
from evaluation.evaluator import Evaluator
from evaluation.metrics.map_at_r import map_at_r
from evaluation.metrics.nmi import nmi
from evaluation.metrics.recall import recall_at_k
from evaluation.metrics.rho_spectrum import rho_spectrum
from evaluation.search.neighbors import Neighbors

CONF = Path(__file__).parents[2] / "conf"
NUM = 60
Blobs = tuple[Tensor, Tensor, list[str]]


def recall(ranking: object) -> Tensor:
    return recall_at_k(ranking, k=1)


METRICS = {"recall@1": recall, "map@r": map_at_r, "nmi": nmi}


@pytest.fixture
def blobs() -> Blobs:
    """Seven classes in three categories of very different sizes, in no order."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 16 + [1] * 12 + [2] * 9 + [5] * 4 + [7] * 8 + [8] * 5 + [11] * 6)
    labels = labels[torch.randperm(NUM, generator=generator)]
    centers = torch.randn(12, 6, generator=generator)
    embeddings = centers[labels] + 1.2 * torch.randn(NUM, 6, generator=generator)
    of_class = {0: "sofa", 1: "sofa", 2: "sofa", 5: "lamp", 7: "lamp", 8: "chair/small"}
    return embeddings, labels, [of_class.get(label, "chair/small") for label in labels.tolist()]


def scores_within(
    blobs: Blobs, is_query: Sequence[bool], is_gallery: Sequence[bool]
) -> dict[str, list[tuple[float, float]]]:
    """(recall@1, map@r) of every query of each category by sorting its own gallery, in NumPy."""
    embeddings, labels, categories = blobs[0].numpy(), blobs[1].tolist(), blobs[2]
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    scores: dict[str, list[tuple[float, float]]] = {}
    for q in range(NUM):
        items = [
            i for i in range(NUM) if is_gallery[i] and i != q and categories[i] == categories[q]
        ]
        items.sort(key=lambda i: -(unit[i] @ unit[q]))
        right = [labels[i] == labels[q] for i in items]
        if not is_query[q] or not any(right):
            continue
        r = sum(right)
        precision = sum(sum(right[: n + 1]) / (n + 1) for n in range(r) if right[n]) / r
        scores.setdefault(categories[q], []).append((float(right[0]), precision))
    return scores


@pytest.mark.parametrize("apart", [False, True], ids=["one set", "query and gallery"])
def test_the_mean_over_categories_equals_a_loop(blobs: Blobs, apart: bool) -> None:
    is_query = torch.arange(NUM) % 3 > 0 if apart else torch.ones(NUM, dtype=torch.bool)
    is_gallery = ~is_query if apart else is_query
    scores = scores_within(blobs, is_query.tolist(), is_gallery.tolist())
    assert len(scores) == 3
    means = {category: np.mean(own, axis=0) for category, own in scores.items()}
    evaluate = Evaluator(METRICS, within="category", averages=Averages(by_category=True))
    results = evaluate(*blobs[:2], is_query, is_gallery, blobs[2])
    for column, metric in enumerate(("recall@1", "map@r")):
        expected = np.mean([mean[column] for mean in means.values()])
        assert results[metric] == pytest.approx(expected, abs=1e-12)
        for category, mean in means.items():
            assert results[f"{metric}/{category}"] == pytest.approx(mean[column], abs=1e-12)
    scored = sum(map(len, scores.values()))
    assert (results["num_queries"], results["num_queries_excluded"]) == (
        scored,
        int(is_query.sum()) - scored,
    )
    whole = Evaluator(METRICS)(*blobs[:2], is_query, is_gallery)
    assert results["recall@1"] > whole["recall@1"]  # other categories are not in the way


def test_every_metric_is_that_of_a_category_on_its_own(blobs: Blobs) -> None:
    embeddings, labels, categories = blobs
    metrics = {**METRICS, "rho@1": lambda spectrum: rho_spectrum(spectrum, 1)}
    metrics |= {
        "spectrum": lambda spectrum: spectrum,
        "hubs": mean_distance,
    }
    options = {"restarts": 2, "distance": "euclidean"}
    averages = Averages(by_class=True, by_category=True)
    evaluate = Evaluator(metrics, within="category", averages=averages, **options)
    results = evaluate(embeddings, labels, None, None, categories)
    single = {}
    for category in sorted(set(categories)):
        own = torch.tensor([c == category for c in categories])
        alone = Evaluator(metrics, averages=Averages(by_class=True), **options)
        single[category] = alone(embeddings[own], labels[own])
        for name in metrics:
            assert results[f"{name}/{category}"] == single[category][name]
    names = {*single["sofa"], *(f"{name}/{category}" for name in metrics for category in single)}
    assert set(results) == names - {"spectrum"}  # lists of different lengths have no mean
    for name in ("recall@1", "map@r/class_average", "nmi", "nmi/std", "rho@1", "hubs"):
        mean = sum(own[name] for own in single.values()) / 3
        assert results[name] == pytest.approx(mean, abs=1e-12)
    assert evaluate.higher_is_better == alone.higher_is_better


def mean_distance(neighbors: Neighbors, k: int = 3) -> Tensor:
    return neighbors.distances[:, :k].mean()


class Embedded(Dataset):
    """Embeddings with their labels at two levels, as the testers read them."""

    def __init__(self, blobs: Blobs) -> None:
        parents = np.unique(blobs[2], return_inverse=True)[1]
        self.embeddings = blobs[0]
        self.labels = torch.stack([blobs[1], torch.from_numpy(parents)], dim=1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.embeddings[index], self.labels[index]


def test_it_agrees_with_the_tester_of_pytorch_metric_learning(blobs: Blobs) -> None:
    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r", "NMI"),
        k="max_bin_count",
        device=torch.device("cpu"),
        kmeans_func=lambda x, num_clusters: kmeans(x.float(), num_clusters),
    )
    tester = WithSameParentLabelTester(
        dataloader_num_workers=0,
        data_device=torch.device("cpu"),
        accuracy_calculator=calculator,
        end_of_testing_hook=lambda tester: None,  # noqa: ARG005
    )
    theirs = tester.test({"test": Embedded(blobs)}, 0, nn.Identity())["test"]
    ours = Evaluator(METRICS, within="category")(*blobs[:2], None, None, blobs[2])
    assert ours["recall@1"] == pytest.approx(theirs["precision_at_1_level0"], abs=1e-6)
    expected = theirs["mean_average_precision_at_r_level0"]
    assert ours["map@r"] == pytest.approx(expected, abs=1e-6)
    assert ours["nmi"] == pytest.approx(theirs["NMI_level0"], abs=1e-6)


def test_the_table_of_queries_has_neighbours_of_their_category(blobs: Blobs) -> None:
    embeddings, labels, categories = blobs
    is_query = torch.arange(NUM) % 3 > 0
    evaluate = Evaluator(METRICS, within="category", averages=Averages(by_category=True))
    roles = (is_query, torch.arange(NUM) % 2 == 0)
    results, table = evaluate.with_queries(embeddings, labels, *roles, categories, k=4)
    assert results == evaluate(embeddings, labels, *roles, categories)
    assert table["query"].tolist() == is_query.nonzero().squeeze(1).tolist()
    assert table["label"].tolist() == labels[is_query].tolist()
    assert table["category"].tolist() == [categories[q] for q in table["query"]]
    unit = torch.nn.functional.normalize(embeddings.double())
    for row in table.itertuples():
        items = [i for i in range(0, NUM, 2) if categories[i] == row.category and i != row.query]
        nearest = sorted(items, key=lambda i: -(unit[i] @ unit[row.query]).item())
        assert row.neighbors == nearest[:4]
        assert row.num_relevant == sum(bool(labels[i] == labels[row.query]) for i in items)
        if row.num_relevant:
            right = [bool(labels[i] == labels[row.query]) for i in nearest]
            assert row.first_hit == right.index(True) + 1
    mean = table.groupby("category")["average_precision"].mean().mean()
    assert not pd.isna(mean)


def test_categories_without_a_query_do_not_count(blobs: Blobs) -> None:
    embeddings, labels, categories = blobs
    is_query = torch.tensor([category != "lamp" for category in categories])
    evaluate = Evaluator(METRICS, within="category", averages=Averages(by_category=True))
    results = evaluate(embeddings, labels, is_query, None, categories)
    chosen = results["nmi/chair/small"], results["nmi/sofa"]
    assert results["nmi"] == pytest.approx(sum(chosen) / 2, abs=1e-12)
    assert "nmi/lamp" not in results


def test_every_metric_survives_tiny_categories(
    blobs: Blobs, caplog: pytest.LogCaptureFixture
) -> None:
    """One sample, two samples of two classes, no gallery item, only duplicates."""
    caplog.set_level(logging.ERROR)
    embeddings = torch.cat([blobs[0], blobs[0][:7], blobs[0][:1].expand(4, -1)])
    labels = torch.cat([blobs[1], torch.tensor([20, 21, 22, 23, 23, 24, 24, 25, 25, 25, 25])])
    categories = [*blobs[2], "one", "two", "two", "out", "out", "out", "out", *["same"] * 4]
    is_gallery = torch.tensor([category != "out" for category in categories])
    for config in sorted((CONF / "metric").glob("*.yaml")):
        metrics = instantiate(OmegaConf.load(config))
        evaluate = Evaluator(metrics, within="category", averages=Averages(by_category=True))
        results = evaluate(embeddings, labels, None, is_gallery, categories)
        scalars = [name for name in metrics if not isinstance(results[f"{name}/sofa"], list)]
        scalars = [name for name in scalars if name != "rho_spectrum@10"]  # of 6 dimensions
        assert all(math.isfinite(results[f"{name}/sofa"]) for name in scalars), config.stem
        assert not any(math.isnan(results[name]) for name in scalars), config.stem


@pytest.mark.parametrize("setting", ["within", "level"])
def test_a_sample_without_a_category_is_an_error(blobs: Blobs, setting: str) -> None:
    evaluate = Evaluator(METRICS, **{setting: "category"})
    with pytest.raises(CategoryError, match=f"{setting}=category needs .*60 of 60 samples"):
        evaluate(*blobs[:2])
    with pytest.raises(CategoryError, match="1 of 60 samples have none"):
        evaluate.with_queries(*blobs[:2], None, None, ["", *blobs[2][1:]])


def test_settings_without_a_meaning_are_errors() -> None:
    with pytest.raises(ValueError, match="within=category needs level=label"):
        Evaluator(METRICS, within="category", level="category")
    with pytest.raises(ValueError, match=r"needs averages.bootstrap=0"):
        Evaluator(METRICS, within="category", averages=Averages(bootstrap=9))
    for wrong in ({"within": "label"}, {"level": "class"}):
        with pytest.raises(ValueError, match="within must be category or None"):
            Evaluator(METRICS, **wrong)


def test_a_category_without_a_number_does_not_spoil_the_mean() -> None:
    results = {"a": {"m": 0.5, "x": math.nan}, "b": {"m": math.nan, "x": math.nan}}
    mean = mean_over_categories(results)
    assert mean["m"] == 0.5
    assert math.isnan(mean["x"])


@pytest.mark.parametrize("roles", [False, True])
def test_at_the_level_of_categories_they_are_the_labels(blobs: Blobs, roles: bool) -> None:
    embeddings, labels, categories = blobs
    numbers = torch.from_numpy(np.unique(categories, return_inverse=True)[1])
    flags = (torch.arange(NUM) % 3 > 0, torch.arange(NUM) % 2 == 0) if roles else (None, None)
    evaluate = Evaluator(METRICS, level="category", averages=Averages(by_class=True))
    expected = Evaluator(METRICS, averages=Averages(by_class=True))(embeddings, numbers, *flags)
    assert evaluate(embeddings, labels, *flags, categories) == expected
    results, table = evaluate.with_queries(embeddings, labels, *flags, categories)
    assert results == expected
    queries = range(NUM) if not roles else flags[0].nonzero().squeeze(1).tolist()
    assert table["label"].tolist() == numbers[list(queries)].tolist()
