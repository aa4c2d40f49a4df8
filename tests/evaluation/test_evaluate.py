"""The evaluation as a whole: what is computed once, what is undefined, and the default suite."""

import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from evaluation import embedded_set
from evaluation.clustering.kmeans import kmeans
from evaluation.evaluator import Evaluator
from evaluation.metrics.dists import intra
from evaluation.metrics.effective_rank import effective_rank
from evaluation.metrics.f1 import f1
from evaluation.metrics.fnmr import fnmr_at_fmr
from evaluation.metrics.map_at_r import map_at_r
from evaluation.metrics.mean_norm import mean_norm
from evaluation.metrics.nmi import nmi
from evaluation.metrics.recall import recall_at_k
from evaluation.metrics.rho_spectrum import rho_spectrum, rho_spectrum_centered
from evaluation.metrics.uniformity import uniformity
from evaluation.search.backend import Backend
from evaluation.search.knn import nearest_neighbors
from evaluation.search.space import Distance

CONF = Path(__file__).parents[2] / "conf"
DEFAULT = (
    "recall",
    "nmi",
    "f1",
    "map_c",
    "map_1000",
    "map_lim",
    "map_at_r",
    "dists",
    "rho_spectrum",
)
RETRIEVAL = {"recall@1": partial(recall_at_k, k=1), "map@r": map_at_r}


def default_evaluation(**overrides: object) -> Evaluator:
    metric = OmegaConf.merge(
        *(OmegaConf.load(CONF / "metric" / f"{name}.yaml") for name in DEFAULT)
    )
    evaluation = OmegaConf.load(CONF / "evaluation" / "default.yaml")
    evaluation = OmegaConf.merge(evaluation, {"measure": overrides})
    return instantiate(
        OmegaConf.create({"metric": metric, "evaluation": evaluation}).evaluation.measure
    )


@pytest.fixture
def blobs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 9
    centers = torch.randn(9, 16, generator=generator)
    return centers[labels] + torch.randn(90, 16, generator=generator), labels


def test_the_default_suite_is_that_of_roth_et_al(blobs: tuple[Tensor, Tensor]) -> None:
    evaluation = default_evaluation()
    results = evaluation(*blobs)
    assert list(results) == [
        *("recall@1", "recall@2", "recall@4", "recall@8", "nmi", "f1"),
        *("map_c", "map_1000", "map_lim", "map@r", "dists@intra", "dists@inter", "dists@ratio"),
        *("rho_spectrum@0", "rho_spectrum@-1", "rho_spectrum@1", "rho_spectrum@2"),
        *("rho_spectrum@10", "num_queries", "num_queries_excluded"),
    ]
    assert len(results.pop("rho_spectrum@0")) == 16
    assert all(type(value) in (int, float) and math.isfinite(value) for value in results.values())
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    assert results["recall@1"] <= results["recall@2"] <= results["recall@4"] <= results["recall@8"]
    assert (results["num_queries"], results["num_queries_excluded"]) == (90, 0)


def test_directions() -> None:
    directions = default_evaluation().higher_is_better
    up = {name for name, better in directions.items() if better}
    assert up == {"nmi", "f1", "map@r", "map_c", "map_1000", "map_lim"} | {
        f"recall@{k}" for k in (1, 2, 4, 8)
    }
    assert directions["rho_spectrum@2"] is directions["num_queries"] is None


@pytest.mark.parametrize("config", sorted((CONF / "metric").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_metric_file_adds_metrics_that_can_be_measured(
    config: Path, blobs: tuple[Tensor, Tensor]
) -> None:
    metrics = instantiate(OmegaConf.load(config))
    results = Evaluator(metrics)(*blobs)
    assert set(yaml.safe_load(config.read_text())) == set(metrics) <= set(results)


def test_searches_once_and_clusters_once_per_start(
    blobs: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(name: str) -> None:
        real = getattr(embedded_set, name)
        monkeypatch.setattr(embedded_set, name, lambda *a, **k: calls.append(name) or real(*a, **k))

    counted("relevant_ranks")
    counted("singular_values")

    def clustering(*arguments: object, seed: int, memory: int) -> Tensor:
        calls.append(f"kmeans {seed}")
        return kmeans(*arguments, seed=seed, memory=memory)

    default_evaluation()  # computes nothing
    metrics = default_evaluation().metrics
    Evaluator(metrics, clustering=clustering, restarts=2, seed=5)(*blobs)
    assert sorted(calls) == ["kmeans 5", "kmeans 6", "relevant_ranks", "singular_values"]
    calls.clear()
    Evaluator({"map@r": map_at_r})(*blobs)
    assert calls == ["relevant_ranks"]


def test_restarts_are_averaged(blobs: tuple[Tensor, Tensor]) -> None:
    single = [Evaluator({"nmi": nmi}, seed=seed)(*blobs)["nmi"] for seed in (3, 4)]
    assert single[0] != single[1]
    both = Evaluator({"nmi": nmi}, seed=3, restarts=2)(*blobs)["nmi"]
    assert both == pytest.approx(sum(single) / 2, abs=1e-12)


def test_clusters_are_as_many_as_classes_unless_told_otherwise(
    blobs: tuple[Tensor, Tensor],
) -> None:
    metrics = {"found": lambda clusters: clusters.unique().numel() * torch.ones(())}
    assert Evaluator(metrics)(*blobs)["found"] == 9
    assert Evaluator(metrics, num_clusters=4)(*blobs)["found"] == 4


def test_query_and_gallery_flags(blobs: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = blobs
    is_query = torch.arange(90) < 30
    apart = Evaluator(RETRIEVAL)(embeddings, labels, is_query, ~is_query)
    assert apart["num_queries"] == 30
    one_set = Evaluator(RETRIEVAL)(embeddings, labels)
    everyone = torch.ones(90, dtype=torch.bool)
    assert Evaluator(RETRIEVAL)(embeddings, labels, everyone, everyone) == one_set
    assert apart["recall@1"] != one_set["recall@1"]


def test_queries_with_nothing_to_find_are_excluded_and_counted(
    blobs: tuple[Tensor, Tensor],
) -> None:
    embeddings, labels = blobs
    lonely = labels.clone()
    lonely[:5] = torch.arange(100, 105)
    results = Evaluator(RETRIEVAL)(embeddings, lonely)
    assert (results["num_queries"], results["num_queries_excluded"]) == (85, 5)


def test_what_is_undefined_is_nan_and_says_why_once(
    blobs: tuple[Tensor, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    embeddings, _ = blobs
    evaluation = default_evaluation()
    for _ in range(2):
        results = evaluation(embeddings, torch.arange(90))  # classes of one
    undefined = {
        name for name, value in results.items() if name != "rho_spectrum@0" and value != value
    }
    assert undefined == {
        *("recall@1", "recall@2", "recall@4", "recall@8", "map@r", "map_c", "map_1000", "map_lim"),
        *("f1", "dists@intra", "dists@ratio"),
    }
    assert (results["num_queries"], results["num_queries_excluded"]) == (0, 90)
    assert len(caplog.messages) == len(undefined)
    assert "recall@1 is undefined: no query has anything relevant in the gallery" in caplog.text


def test_one_class_only_and_collapsed_embeddings_give_no_wrong_number() -> None:
    evaluation = default_evaluation()
    one_class = evaluation(torch.randn(20, 16), torch.zeros(20, dtype=torch.long))
    assert one_class["recall@1"] == one_class["map@r"] == 1
    assert math.isnan(one_class["dists@inter"])
    collapsed = evaluation(torch.ones(20, 16), torch.arange(20) % 4)
    assert collapsed["recall@8"] == collapsed["map@r"] == 0
    assert collapsed["rho_spectrum@1"] == math.inf
    assert math.isnan(collapsed["rho_spectrum@2"])


def test_more_clusters_than_samples_make_clustering_metrics_undefined(
    blobs: tuple[Tensor, Tensor],
) -> None:
    results = Evaluator({"nmi": nmi, "f1": f1, **RETRIEVAL}, num_clusters=91)(*blobs)
    assert math.isnan(results["nmi"])
    assert math.isnan(results["f1"])
    assert results["recall@1"] > 0


def test_neither_memory_nor_order_changes_the_numbers(blobs: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = (part.clone() for part in blobs)
    expected = default_evaluation()(embeddings, labels)
    starved = default_evaluation(memory=1000)(embeddings, labels)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    shuffled = default_evaluation()(embeddings[order], labels[order])
    assert starved.pop("rho_spectrum@0") == pytest.approx(expected["rho_spectrum@0"], abs=1e-9)
    for name in starved:
        assert starved[name] == pytest.approx(expected[name], abs=1e-9), name
    for name in set(expected) - {"nmi", "f1"}:  # k-means starts from other samples
        assert shuffled[name] == pytest.approx(expected[name], abs=1e-9), name


def test_inputs_stay_as_they_are(blobs: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = blobs
    before = embeddings.clone(), labels.clone()
    default_evaluation()(embeddings.requires_grad_(), labels)
    assert embeddings.equal(before[0])
    assert labels.equal(before[1])


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        (torch.randn(4, 2), torch.zeros(3), "expected, got"),
        (torch.randn(0, 2), torch.zeros(0), "expected, got"),
        (torch.tensor([[1.0], [torch.nan]]), torch.zeros(2), "1 of 2 embeddings are not finite"),
    ],
)
def test_bad_input_is_an_error(embeddings: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Evaluator(RETRIEVAL)(embeddings, labels.long())


@pytest.mark.parametrize(
    "metric", [lambda fixture: fixture, lambda ranking, labels: (ranking, labels)]
)
def test_a_metric_that_asks_for_what_there_is_not_fails_before_any_data(metric: object) -> None:
    with pytest.raises(TypeError, match="metric mine"):
        Evaluator({"mine": metric})


def test_no_restart_is_an_error() -> None:
    with pytest.raises(ValueError, match="restarts"):
        Evaluator(RETRIEVAL, restarts=0)


def test_the_distance_reaches_neighbours_and_clusters(blobs: tuple[Tensor, Tensor]) -> None:
    """Lengths mean nothing to the cosine, and much to the Euclidean distance."""
    embeddings, labels = blobs
    stretched = embeddings * torch.logspace(-1, 1, 90)[:, None]
    metrics = {"nmi": nmi, **RETRIEVAL}
    cosine = Evaluator(metrics)
    assert cosine(stretched, labels) == pytest.approx(cosine(embeddings, labels), abs=1e-9)
    euclidean = Evaluator(metrics, distance="euclidean")
    near, far = euclidean(embeddings, labels), euclidean(stretched, labels)
    assert all(far[name] < near[name] - 0.1 for name in metrics)


def test_the_memory_budget_reaches_search_and_clustering(
    blobs: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets, real = [], embedded_set.relevant_ranks

    def watched(*arguments: Tensor, memory: int, **options: str) -> object:
        budgets.append(memory)
        return real(*arguments, memory=memory, **options)

    def clustering(*arguments: object, seed: int, memory: int) -> Tensor:
        budgets.append(memory)
        return kmeans(*arguments, seed=seed, memory=memory)

    monkeypatch.setattr(embedded_set, "relevant_ranks", watched)
    Evaluator({"nmi": nmi, **RETRIEVAL}, clustering=clustering, memory=12345)(*blobs)
    assert budgets == [12345, 12345]


def test_the_backend_reaches_the_search(blobs: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ValueError, match="auto, torch, two_stage or faiss"):
        Evaluator(RETRIEVAL, backend="fast")(*blobs)
    searches = ("two_stage", "torch", "faiss")
    two_stage, dense, by_faiss = (Evaluator(RETRIEVAL, backend=b)(*blobs) for b in searches)
    assert two_stage == dense == by_faiss


@pytest.mark.parametrize("scale", [2.0**-100, 1e-30, 1e30, 2.0**100])
@pytest.mark.parametrize("backend", ["torch", "two_stage", "faiss"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_the_scale_of_the_embeddings_is_irrelevant(
    distance: Distance, backend: Backend, scale: float
) -> None:
    """A network without a last normalization had blown up, or all but vanished."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(20).repeat_interleave(10)
    embeddings = torch.randn(200, 16, generator=draw) + torch.randn(20, 16, generator=draw)[labels]
    metrics = {
        "recall": partial(recall_at_k, k=1),
        "map": map_at_r,
        "nmi": nmi,
        "rho": partial(rho_spectrum, m=1),
        "centered": partial(rho_spectrum_centered, m=1),
        "relevant_ranks": effective_rank,
        "intra": intra,
        "uniformity": uniformity,
        "fnmr": partial(fnmr_at_fmr, fmr=0.1),
        "norm": mean_norm,
    }
    measured = Evaluator(metrics, distance=distance, backend=backend)
    found, expected = measured(scale * embeddings, labels), measured(embeddings, labels)
    expected["norm"] *= scale
    assert found == pytest.approx(expected, rel=1e-6, abs=0)
    space = embeddings.double().numpy()
    if distance == "cosine":
        space /= np.linalg.norm(space, axis=1, keepdims=True)
    apart = np.linalg.norm(space[:, None] - space, axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest_label = labels.numpy()[apart.argmin(axis=1)]
    assert found["recall"] == pytest.approx((nearest_label == labels.numpy()).mean())
    neighbors = nearest_neighbors(scale * embeddings, 1, distance=distance, backend=backend)
    truth = apart.min(axis=1) ** 2 / 2 if distance == "cosine" else scale * apart.min(axis=1)
    np.testing.assert_allclose(neighbors.distances[:, 0], truth, rtol=1e-5)
