"""How often an item is a neighbour: counted by hand and by SciPy."""

import numpy as np
import pytest
import torch
from scipy.stats import skew
from torch import Tensor

from evaluation.evaluator import Evaluator
from evaluation.metrics.hubness import hubness
from evaluation.metrics.undefined import UndefinedError
from evaluation.search.knn import nearest_neighbors


def counted(embeddings: Tensor, queries: list[int], gallery: list[int], k: int) -> float:
    unit = embeddings.double().numpy()
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    times = dict.fromkeys(gallery, 0)
    for q in queries:
        others = sorted(
            (g for g in gallery if g != q), key=lambda g, q=q: -float(unit[q] @ unit[g])
        )
        for g in others[:k]:
            times[g] += 1
    return float(skew(list(times.values())))


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("apart", [False, True], ids=["one set", "query and gallery"])
def test_equals_the_skewness_of_scipy(k: int, apart: bool) -> None:
    embeddings = torch.randn(50, 6, generator=torch.Generator().manual_seed(k)) + 1
    queries = torch.arange(20) if apart else torch.arange(50)
    gallery = torch.arange(20, 50) if apart else torch.arange(50)
    neighbors = nearest_neighbors(embeddings, k, queries, gallery)
    expected = counted(embeddings, queries.tolist(), gallery.tolist(), k)
    assert hubness(neighbors, gallery, k).item() == pytest.approx(expected, abs=1e-12)


def test_a_star_has_a_hub_and_a_ring_has_none() -> None:
    star = torch.cat([torch.zeros(1, 9), torch.eye(9)])
    everyone = torch.arange(10)
    hub = hubness(nearest_neighbors(star, 1, distance="euclidean"), everyone, 1).item()
    assert hub == pytest.approx(float(skew([9, 1] + [0] * 8)))
    angles = torch.arange(12) * (2 * torch.pi / 12)
    ring = torch.stack([angles.cos(), angles.sin()], dim=1)
    with pytest.raises(UndefinedError, match="equally many"):
        hubness(nearest_neighbors(ring, 2), torch.arange(12), 2)


def test_more_neighbours_than_the_gallery_has() -> None:
    embeddings = torch.randn(5, 3)
    with pytest.raises(UndefinedError):  # everyone is everyone's neighbour
        hubness(nearest_neighbors(embeddings, 10), torch.arange(5), 10)
    with pytest.raises(UndefinedError):
        hubness(nearest_neighbors(embeddings, 1, gallery=torch.arange(0)), torch.arange(0), 1)


def test_an_evaluation_hands_over_neighbours_and_gallery() -> None:
    embeddings = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    is_query = torch.arange(40) < 15
    metrics = {"hubness": lambda neighbors, gallery, k=3: hubness(neighbors, gallery, k)}
    evaluation = Evaluator(metrics)
    assert evaluation.higher_is_better["hubness"] is None
    found = evaluation(embeddings, torch.arange(40) % 5, is_query, ~is_query)["hubness"]
    assert found == pytest.approx(counted(embeddings, list(range(15)), list(range(15, 40)), 3))
