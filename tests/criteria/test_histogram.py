"""Histogram against its definition, node by node."""

import pytest
import torch

from criteria.histogram import Histogram
from tests.batches import LABELS, batch, cosine, negative_pairs, positive_pairs


def distribution(similarities: list[float], num_nodes: int) -> list[float]:
    width = 2 / (num_nodes - 1)
    nodes = [-1 + r * width for r in range(num_nodes)]
    count = max(len(similarities), 1)
    return [sum(max(0.0, 1 - abs(s - t) / width) for s in similarities) / count for t in nodes]


def by_definition(x: list[list[float]], labels: list[int], num_nodes: int) -> float:
    of_positives = distribution([cosine(x[i], x[j]) for i, j in positive_pairs(labels)], num_nodes)
    of_negatives = distribution([cosine(x[i], x[j]) for i, j in negative_pairs(labels)], num_nodes)
    return sum(h * sum(of_positives[: r + 1]) for r, h in enumerate(of_negatives))


@pytest.mark.parametrize("num_nodes", [2, 11, 20, 65, 150])  # widths that are dyadic or not
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], num_nodes: int) -> None:
    embeddings, targets = batch(labels)
    expected = by_definition(embeddings.tolist(), labels, num_nodes)
    criterion = Histogram(num_nodes=num_nodes)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


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
