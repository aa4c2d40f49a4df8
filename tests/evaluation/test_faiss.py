"""faiss finds what the other searches find; where it is missing or broken, that is said."""

import builtins
import logging
import sys
from collections.abc import Iterator

import faiss
import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.evaluator import Evaluator
from evaluation.metrics.mrr import reciprocal_rank
from evaluation.search import backend, faiss_knn
from evaluation.search.backend import check_backend, uses_faiss
from evaluation.search.faiss_ranks import faiss_ranks
from evaluation.search.knn import nearest_neighbors
from evaluation.search.ranks import relevant_ranks
from evaluation.search.relevance_index import RelevanceIndex
from evaluation.search.space import normalize_for_search

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What was found out about the installation is found out again."""
    for remembered in (faiss_knn.is_working, faiss_knn.supports_gpu):
        remembered.cache_clear()
    yield
    for remembered in (faiss_knn.is_working, faiss_knn.supports_gpu):
        remembered.cache_clear()


@pytest.fixture
def blobs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 40, (500,), generator=generator)
    centers = torch.randn(40, 12, generator=generator)
    return centers[labels] + torch.randn(500, 12, generator=generator), labels


def ranks(embeddings: Tensor, labels: Tensor, **options: object) -> dict[int, list[int]]:
    return {
        q: row[:num].tolist()
        for queries, found in relevant_ranks(embeddings, labels, **options)
        for q, row, num in zip(queries.tolist(), found.ranks, found.num_relevant, strict=True)
    }


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("memory", [1, 2**20])
def test_ranks_and_neighbors_are_those_of_the_other_searches(
    blobs: tuple[Tensor, Tensor], memory: int, distance: str
) -> None:
    options = {"distance": distance, "memory": memory}
    expected = ranks(*blobs, backend="two_stage", **options)
    assert ranks(*blobs, backend="faiss", **options) == expected
    assert ranks(*blobs, backend="torch", **options) == expected
    ours, theirs = (
        nearest_neighbors(blobs[0], 9, backend=name, **options) for name in ("two_stage", "faiss")
    )
    assert ours.indices.equal(theirs.indices)
    assert ours.distances.equal(theirs.distances)


def test_faiss_ranks_whom_it_can_and_leaves_the_others(blobs: tuple[Tensor, Tensor]) -> None:
    everyone = torch.arange(500)
    members = RelevanceIndex(blobs[1], everyone, everyone)
    points = normalize_for_search(blobs[0], "cosine")
    left: list[Tensor] = []

    def search() -> Iterator[tuple[Tensor, Tensor]]:
        left.append((yield from faiss_ranks(members, points, points, "cosine", 2**16)))

    ranked = torch.cat([queries for queries, _ in search()])
    assert sorted([*ranked.tolist(), *left[0].tolist()]) == list(range(500))
    assert min(len(ranked), len(left[0])) > 20


def test_what_faiss_leaves_out_may_be_as_near_as_the_last_it_finds() -> None:
    labels = torch.tensor([0, 0, *range(1, 19)])  # five of these copies are found
    assert ranks(torch.ones(20, 3), labels, backend="faiss") == {0: [19], 1: [19]}


def test_missing_faiss_is_an_error_only_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ValueError, match="backend faiss: faiss is not installed"):
        Evaluator({"mrr": reciprocal_rank}, backend="faiss")
    check_backend("auto", CPU)
    assert not uses_faiss("auto", CPU, 10)
    assert not uses_faiss("auto", CUDA, 10)


def test_a_faiss_for_cpus_does_not_search_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    with pytest.raises(ValueError, match="cannot search on cuda"):
        check_backend("faiss", CUDA)
    assert not uses_faiss("auto", CUDA, 10)


class Liar(faiss.IndexFlatIP):
    """Finds something else."""

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        values, places = super().search(queries, k)
        return values, places[:, ::-1].copy()


def broken(*_: object) -> None:
    raise AttributeError("module 'faiss' has no attribute 'swigfaiss'\nand more lines")


@pytest.mark.parametrize(
    ("index", "reason"),
    [(Liar, "other neighbours than there are"), (broken, "AttributeError: module 'faiss' has no")],
)
def test_a_broken_faiss_is_named_once_and_another_search_goes_on(
    index: object,
    reason: str,
    blobs: tuple[Tensor, Tensor],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(faiss, "IndexFlatIP", index)
    expected = ranks(*blobs, backend="two_stage")
    for _ in range(2):
        assert ranks(*blobs, backend="faiss") == expected
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert reason in warning.message
    assert "\n" not in warning.message


def test_a_faiss_that_cannot_be_imported_is_broken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = builtins.__import__

    def fail(name: str, *arguments: object) -> object:
        if name == "faiss":
            raise ImportError("libopenblas.so.0: cannot open shared object file")
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", fail)
    assert not uses_faiss("faiss", CPU)
    assert "libopenblas.so.0" in caplog.text


def test_auto_asks_faiss_on_a_gpu_for_neighbors_within_its_depth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backend, "unavailable_reason", lambda _: None)
    monkeypatch.setattr(backend, "is_working", lambda _: True)
    assert uses_faiss("auto", CUDA, 10)
    assert not uses_faiss("auto", CUDA, faiss_knn.MAX_GPU_NEIGHBORS)
    assert not uses_faiss("auto", CUDA)  # torch ranks there
    assert not uses_faiss("auto", CPU, 10)
    assert not uses_faiss("torch", CUDA, 10)
