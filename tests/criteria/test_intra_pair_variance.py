"""IntraPairVariance against its definition, pair by pair."""

import pytest
import torch

from criteria.intra_pair_variance import IntraPairVariance
from tests.batches import LABELS, batch, cosine, negative_pairs, positive_pairs


def mean(values: list[float]) -> float:
    return sum(values) / max(len(values), 1)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int]) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    positives = [cosine(x[i], x[j]) for i, j in positive_pairs(labels)]
    negatives = [cosine(x[i], x[j]) for i, j in negative_pairs(labels)]
    pull = [max(0.0, (1 - 0.02) * mean(positives) - s) ** 2 for s in positives]
    push = [max(0.0, s - (1 + 0.3) * mean(negatives)) ** 2 for s in negatives]
    criterion = IntraPairVariance(positive_epsilon=0.02, negative_epsilon=0.3)
    expected = mean(pull) + mean(push)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_descent_makes_pairs_of_a_kind_alike() -> None:
    """What this loss is for; it does not separate classes by itself."""
    embeddings, labels = batch([0, 1, 2, 3] * 4)
    before = IntraPairVariance()(embeddings, labels)
    (slope,) = torch.autograd.grad(before, embeddings)
    after = IntraPairVariance()(embeddings - slope / slope.norm(), labels)
    assert after < 0.9 * before
