"""FastAP against its definition, anchor by anchor and node by node."""

from collections.abc import Callable

import pytest
import torch

from core.distance import SNR, Cosine, DotProduct, Lp
from core.types import Distance
from criteria.fastap import FastAP
from tests.batches import (
    LABELS,
    Vector,
    batch,
    cosine,
    euclidean,
    negative_pairs,
    positive_pairs,
)

Between = Callable[[Vector, Vector], float]


def squared(x: Vector, y: Vector) -> float:
    return euclidean(x, y) ** 2


def histogram(distances: list[float], num_bins: int, greatest: float) -> list[float]:
    width = greatest / num_bins
    nodes = [j * width for j in range(num_bins + 1)]
    return [sum(max(0.0, 1 - abs(d - t) / width) for d in distances) for t in nodes]


def by_definition(
    x: list[list[float]],
    labels: list[int],
    num_bins: int,
    distance: Between = squared,
    greatest: float = 4,
) -> float:
    losses = []
    for i in range(len(labels)):
        near, far = (
            [distance(x[i], x[j]) for a, j in pairs(labels) if a == i]
            for pairs in (positive_pairs, negative_pairs)
        )
        hits, misses = (histogram(found, num_bins, greatest) for found in (near, far))
        precisions = 0.0
        for j, hit in enumerate(hits):
            found = sum(hits[: j + 1])
            precisions += hit and hit * found / (found + sum(misses[: j + 1]))
        if near:
            losses.append(1 - precisions / len(near))
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize("num_bins", [1, 10, 33])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], num_bins: int) -> None:
    embeddings, targets = batch(labels)
    expected = by_definition(embeddings.tolist(), labels, num_bins)
    criterion = FastAP(num_bins=num_bins)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("distance", "by_pair"),
    [(Lp(), euclidean), (Cosine(), lambda x, y: 1 - cosine(x, y))],
    ids=["euclidean", "cosine"],
)
def test_another_distance_has_a_histogram_of_its_own_range(
    distance: Distance, by_pair: Between
) -> None:
    embeddings, targets = batch(LABELS["unbalanced"])
    expected = by_definition(embeddings.tolist(), LABELS["unbalanced"], 7, by_pair, greatest=2)
    value = FastAP(num_bins=7, distance=distance)(embeddings, targets)
    assert value.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("distance", [SNR(), DotProduct(), Lp(normalize=False), Lp(p=1)])
def test_a_distance_without_a_greatest_value_is_an_error(distance: Distance) -> None:
    with pytest.raises(ValueError, match=r"^distance must be bounded"):
        FastAP(distance=distance)


def test_a_list_in_order_is_perfect_and_one_in_reverse_is_not() -> None:
    """Distances 0, 2 and 4 from the first: nodes 0, 5 and 10 of ten bins."""
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    for labels, expected in (
        ([0, 0, 1, 2], 0.0),  # both positives come first
        ([0, 1, 2, 0], 1 - 1 / 3),  # each is the last of three
        ([0, 1, 0, 2], (1 - 1 / 2 + 1 - 1 / 3) / 2),  # second of three, and last of three at a tie
    ):
        value = FastAP()(embeddings, torch.tensor(labels))
        assert value.item() == pytest.approx(expected, abs=1e-6)


def test_needs_a_bin() -> None:
    with pytest.raises(ValueError, match="num_bins"):
        FastAP(num_bins=0)
