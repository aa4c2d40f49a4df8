"""NPair against its definition, pair by pair."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import NPairsLoss

from core.distance import Cosine
from core.regularizer import LpNorm
from core.types import Pairs
from criteria.npair import NPair
from tests.batches import LABELS, batch, negative_pairs, positive_pairs


def dot(x: list[float], y: list[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def by_definition(
    x: list[list[float]], positives: list[tuple[int, int]], negatives: list[tuple[int, int]]
) -> float:
    losses = []
    for a, p in positives:
        excess = [dot(x[a], x[n]) - dot(x[a], x[p]) for b, n in negatives if b == a]
        losses.append(math.log(1 + sum(math.exp(e) for e in excess)))
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize("power", [1, 2], ids=["Roth et al.", "paper"])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], power: int) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    penalty = 0.005 * sum(dot(v, v) ** (power / 2) for v in x) / len(x)
    expected = by_definition(x, positive_pairs(labels), negative_pairs(labels)) + penalty
    criterion = NPair(regularizer=LpNorm(0.005, power=power))
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def one_pair_per_class(labels: list[int]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The first two samples of each class, and each first with the seconds of the others."""
    members = [[i for i, label in enumerate(labels) if label == c] for c in sorted(set(labels))]
    positives = [(first, second) for first, second, *_ in members]
    return positives, [(a, n) for a, p in positives for _, n in positives if n != p]


@pytest.mark.parametrize("normalize", [False, True], ids=["paper", "pytorch-metric-learning"])
def test_one_pair_per_class_is_given_as_tuples(normalize: bool) -> None:
    labels = [0, 1, 2, 0, 1, 2, 2]
    embeddings, targets = batch(labels)
    positives, negatives = one_pair_per_class(labels)
    masks = torch.zeros(2, 7, 7, dtype=torch.bool)
    for mask, pairs in zip(masks, (positives, negatives), strict=True):
        mask[tuple(torch.tensor(pairs).T)] = True
    criterion = NPair(distance=Cosine() if normalize else None)
    value = criterion(embeddings, targets, Pairs(*masks))
    if not normalize:
        expected = by_definition(embeddings.tolist(), positives, negatives)
        assert value.item() == pytest.approx(expected, rel=1e-9)
    theirs = NPairsLoss()
    theirs.distance.normalize_embeddings = normalize
    torch.testing.assert_close(value, theirs(embeddings, targets))


def test_huge_similarities_in_float32_stay_exact() -> None:
    """exp would overflow: the anchor is nearer to the negative by 1e8."""
    embeddings = torch.tensor([[1e4, 0.0], [0.0, 1e4], [1e4, 1.0]], requires_grad=True)
    loss = NPair()(embeddings, torch.tensor([0, 0, 1]))
    loss.backward()
    assert loss.item() == pytest.approx((1e8 + 1e4) / 2, rel=1e-6)
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()
