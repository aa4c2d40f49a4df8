"""The nearest neighbours against sorting in NumPy, one query at a time."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.evaluator import Evaluator
from evaluation.search import knn as knn_module
from evaluation.search.knn import nearest_neighbors
from evaluation.search.neighbors import NO_NEIGHBOR, Neighbors


def nearest_by_sorting(
    embeddings: Tensor, k: int, queries: list[int], gallery: list[int], distance: str
) -> list[list[int]]:
    vectors = embeddings.double().numpy()
    if distance == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = []
    for q in queries:
        others = [g for g in gallery if g != q]
        far = {g: round(float(((vectors[q] - vectors[g]) ** 2).sum()), 9) for g in others}
        row = sorted(others, key=lambda g, far=far: (far[g], g))[:k]
        found.append(row + [NO_NEIGHBOR] * (min(k, len(gallery)) - len(row)))
    return found


@pytest.fixture(params=["dense", "float32", "bfloat16"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    half, single = torch.bfloat16, torch.float32
    precisions = (half, single) if request.param == "bfloat16" else (single,)
    monkeypatch.setattr(knn_module, "choose_precisions", lambda _: precisions)
    return "torch" if request.param == "dense" else "two_stage"


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("memory", [1, 20000, 2**24])
@pytest.mark.parametrize("k", [1, 7, 200])
def test_neighbors_equal_sorting(k: int, memory: int, distance: str, backend: str) -> None:
    embeddings = torch.randn(60, 5, generator=torch.Generator().manual_seed(k)) + 1
    embeddings[30:40] = embeddings[10:20]  # copies: the lower index comes first
    for queries, gallery in ((range(60), range(60)), (range(40, 60), range(30, 50)), ([3], [3])):
        chosen = torch.tensor(list(queries)), torch.tensor(list(gallery))
        found = nearest_neighbors(
            embeddings, k, *chosen, distance=distance, memory=memory, backend=backend
        )
        expected = nearest_by_sorting(embeddings, k, list(queries), list(gallery), distance)
        assert found.queries.tolist() == list(queries)
        assert found.indices.tolist() == expected


def test_distances_are_what_they_are_called() -> None:
    embeddings = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    cosine = nearest_neighbors(embeddings, 5)
    torch.testing.assert_close(cosine.distances[0], torch.tensor([1, 2, torch.inf]).double())
    euclidean = nearest_neighbors(embeddings, 2, distance="euclidean")
    torch.testing.assert_close(euclidean.distances[0], torch.tensor([5**0.5, 3]).double())


def test_without_queries_or_gallery_there_are_no_neighbors() -> None:
    nobody = torch.tensor([], dtype=torch.long)
    assert nearest_neighbors(torch.randn(4, 2), 3, nobody).indices.shape == (0, 3)
    assert nearest_neighbors(torch.randn(4, 2), 3, None, nobody).indices.shape == (4, 0)


def test_a_metric_gets_as_many_neighbors_as_its_k_says() -> None:
    seen = []

    def depth(neighbors: Neighbors, k: int) -> Tensor:
        seen.append((k, neighbors.indices.shape[1]))
        return neighbors.distances.mean()

    Evaluator({f"depth@{k}": partial(depth, k=k) for k in (1, 4)})(
        torch.randn(9, 3), torch.arange(9) % 3
    )
    assert seen == [(1, 1), (4, 4)]


def test_a_metric_of_neighbors_without_k_and_k_below_one_are_errors() -> None:
    with pytest.raises(TypeError, match="mine asks for neighbors"):
        Evaluator({"mine": lambda neighbors: neighbors})
    with pytest.raises(ValueError, match="at least 1"):
        nearest_neighbors(torch.randn(4, 2), 0)
