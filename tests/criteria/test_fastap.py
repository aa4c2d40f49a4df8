"""FastAP against its definition, anchor by anchor and node by node."""

import pytest
import torch

from criteria.fastap import FastAP
from tests.batches import LABELS, batch, euclidean, negative_pairs, positive_pairs


def histogram(distances: list[float], num_bins: int) -> list[float]:
    width = 4 / num_bins
    nodes = [j * width for j in range(num_bins + 1)]
    return [sum(max(0.0, 1 - abs(d - t) / width) for d in distances) for t in nodes]


def by_definition(x: list[list[float]], labels: list[int], num_bins: int) -> float:
    losses = []
    for i in range(len(labels)):
        near, far = (
            [euclidean(x[i], x[j]) ** 2 for a, j in pairs(labels) if a == i]
            for pairs in (positive_pairs, negative_pairs)
        )
        hits, misses = histogram(near, num_bins), histogram(far, num_bins)
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
