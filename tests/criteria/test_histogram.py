"""Histogram against its definition, node by node."""

from collections.abc import Callable

import pytest
import torch

from core.distance import SNR, Lp
from criteria.histogram import Histogram
from tests.batches import (
    LABELS,
    Vector,
    batch,
    cosine,
    euclidean,
    negative_pairs,
    positive_pairs,
)


def distribution(
    similarities: list[float], num_nodes: int, least: float, greatest: float
) -> list[float]:
    width = (greatest - least) / (num_nodes - 1)
    nodes = [least + r * width for r in range(num_nodes)]
    count = max(len(similarities), 1)
    return [sum(max(0.0, 1 - abs(s - t) / width) for s in similarities) / count for t in nodes]


def by_definition(
    x: list[list[float]],
    labels: list[int],
    num_nodes: int,
    similarity: Callable[[Vector, Vector], float] = cosine,
    limits: tuple[float, float] = (-1, 1),
) -> float:
    of_positives, of_negatives = (
        distribution([similarity(x[i], x[j]) for i, j in pairs(labels)], num_nodes, *limits)
        for pairs in (positive_pairs, negative_pairs)
    )
    return sum(h * sum(of_positives[: r + 1]) for r, h in enumerate(of_negatives))


@pytest.mark.parametrize("num_nodes", [2, 11, 20, 65, 150])  # widths that are dyadic or not
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], num_nodes: int) -> None:
    embeddings, targets = batch(labels)
    expected = by_definition(embeddings.tolist(), labels, num_nodes)
    criterion = Histogram(num_nodes=num_nodes)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("power", [1, 2])
def test_minus_the_distance_of_unit_vectors_is_a_similarity_too(power: int) -> None:
    embeddings, targets = batch(LABELS["unbalanced"])
    expected = by_definition(
        embeddings.tolist(),
        LABELS["unbalanced"],
        12,
        lambda x, y: -(euclidean(x, y) ** power),
        (-(2**power), 0),
    )
    value = Histogram(num_nodes=12, distance=Lp(power=power))(embeddings, targets)
    assert value.item() == pytest.approx(expected, rel=1e-9)


def test_a_similarity_without_bounds_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^distance must be bounded.*SNR\(normalize=False\)$"):
        Histogram(distance=SNR())


@pytest.mark.parametrize("num_nodes", [11, 64, 65])
def test_all_pairs_count_in_float32(num_nodes: int) -> None:
    """Positives 0 apart, negatives 90 and 180 degrees: similarities at the nodes or beyond."""
    embeddings = torch.tensor([[3.0, 4.0], [6.0, 8.0], [-3.0, -4.0], [-4.0, 3.0]])
    loss = Histogram(num_nodes=num_nodes)(embeddings, torch.tensor([0, 0, 1, 2]))
    assert loss.item() == pytest.approx(0, abs=1e-5)
    swapped = Histogram(num_nodes=num_nodes)(embeddings, torch.tensor([0, 1, 0, 2]))
    assert swapped.item() == pytest.approx(1, abs=1e-5)


def test_needs_two_nodes() -> None:
    with pytest.raises(ValueError, match="num_nodes"):
        Histogram(num_nodes=1)
