"""Center against its definition, over several batches."""

import math

import pytest
import torch

from criteria.center import Center
from tests.batches import batch


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_value_and_centers_equal_the_definition(rate: float) -> None:
    criterion = Center(6, 8, rate).double()
    centers = criterion.prototypes.tolist()
    for seed, labels in enumerate([[0, 1, 2, 0], [0, 0, 5], [1, 1, 4, 1, 2]]):
        embeddings, targets = batch(labels, seed=seed)
        x = embeddings.tolist()
        squared = [math.dist(a, centers[y]) ** 2 for a, y in zip(x, labels, strict=True)]
        expected = math.fsum(squared) / 2 / len(labels)
        assert criterion(embeddings, targets).item() == pytest.approx(expected)
        for c in set(labels):
            own = [a for a, y in zip(x, labels, strict=True) if y == c]
            pull = [math.fsum(m - a[d] for a in own) for d, m in enumerate(centers[c])]
            step = [rate * p / (1 + len(own)) for p in pull]
            centers[c] = [m - s for m, s in zip(centers[c], step, strict=True)]
        torch.testing.assert_close(criterion.prototypes, torch.tensor(centers).double())


def test_gradient_is_the_offset_from_the_center_before_the_step() -> None:
    embeddings, labels = batch([0, 1])
    criterion = Center(2, 8).double()
    before = criterion.prototypes.clone()
    criterion(embeddings, labels).backward()
    torch.testing.assert_close(embeddings.grad, (embeddings.detach() - before) / 2)
    assert not criterion.prototypes.equal(before)


def test_evaluation_leaves_the_centers() -> None:
    embeddings, labels = batch([0, 1])
    criterion = Center(2, 8).double().eval()
    before = criterion.prototypes.clone()
    criterion(embeddings, labels)
    assert criterion.prototypes.equal(before)


def test_logits_are_half_the_squared_distances() -> None:
    embeddings, _ = batch([0, 1])
    criterion = Center(3, 8).double()
    centers = criterion.prototypes.tolist()
    expected = [[-(math.dist(x, c) ** 2) / 2 for c in centers] for x in embeddings.tolist()]
    torch.testing.assert_close(criterion.logits(embeddings), torch.tensor(expected).double())


def test_rate_out_of_range() -> None:
    with pytest.raises(ValueError, match="rate"):
        Center(2, 8, rate=1.5)
