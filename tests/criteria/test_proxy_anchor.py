"""ProxyAnchor against its definition, proxy by proxy."""

import math
from collections.abc import Callable, Sequence
from statistics import pvariance

import pytest
import torch
from torch import nn

from core.distance import SNR, DotProduct
from core.reducer import Sum
from core.regularizer import LpNorm
from core.types import Distance, Pairs, Triplets
from criteria.proxy_anchor import ProxyAnchor
from tests.batches import LABELS, Vector, batch, cosine


def by_definition(
    x: list[list[float]],
    labels: Sequence[int],
    proxies: list[list[float]],
    weights: Sequence[float],
    alpha: float,
    similarity: Callable[[Vector, Vector], float] = cosine,
) -> tuple[list[float], list[float]]:
    own, others = [], []
    for c, proxy in enumerate(proxies):
        samples = list(zip((similarity(proxy, a) for a in x), labels, weights, strict=True))
        close = [w * math.exp(-alpha * (s - 0.1)) for s, y, w in samples if y == c]
        far = [w * math.exp(alpha * (s + 0.1)) for s, y, w in samples if y != c]
        if sum(close):
            own.append(math.log1p(sum(close)))
        others.append(math.log1p(sum(far)))
    return own, others


@pytest.mark.parametrize("alpha", [4.0, 32.0])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], alpha: float) -> None:
    embeddings, targets = batch(labels)
    criterion = ProxyAnchor(6, 8, alpha=alpha).double()
    own, others = by_definition(
        embeddings.tolist(), labels, criterion.prototypes.tolist(), [1] * len(labels), alpha
    )
    assert len(own) == len(set(labels))
    expected = sum(own) / len(own) + sum(others) / 6
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)
    summed = ProxyAnchor(6, 8, alpha=alpha, reducer=Sum()).double()
    summed.load_state_dict(criterion.state_dict())
    assert summed(embeddings, targets).item() == pytest.approx(sum(own) + sum(others), rel=1e-9)


def dot(x: Vector, y: Vector) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def snr(x: Vector, y: Vector) -> float:
    """Minus the variance of the difference from x, by that of x."""
    return -pvariance([a - b for a, b in zip(x, y, strict=True)]) / pvariance(x)


@pytest.mark.parametrize(("distance", "similarity"), [(DotProduct(), dot), (SNR(), snr)])
def test_a_proxy_is_the_anchor_of_another_distance(
    distance: Distance, similarity: Callable[[Vector, Vector], float]
) -> None:
    labels = LABELS["unbalanced"]
    embeddings, targets = batch(labels)
    criterion = ProxyAnchor(6, 8, alpha=0.5, distance=distance, init=nn.init.normal_).double()
    x, proxies = embeddings.tolist(), criterion.prototypes.tolist()
    own, others = by_definition(x, labels, proxies, [1] * len(labels), 0.5, similarity)
    expected = sum(own) / len(own) + sum(others) / 6
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)
    logits = torch.tensor([[0.5 * similarity(p, a) for p in proxies] for a in x])
    torch.testing.assert_close(criterion.logits(embeddings).float(), logits)


def test_tuples_weigh_each_sample_by_how_often_they_name_it() -> None:
    labels = [0, 0, 1, 2]
    embeddings, targets = batch(labels)
    criterion = ProxyAnchor(6, 8).double()
    triplets = Triplets(*torch.tensor([[0, 1, 2], [0, 1, 2], [1, 0, 2], [0, 1, 2]]).T)
    # named 4, 4, 4 and 0 times; one more pair of 0 and 2 makes it 5, 4, 5 and 0
    for tuples, weights in ((triplets, (1, 1, 1, 0)), (to_counts(), (1, 0.5, 0.5, 0))):
        own, others = by_definition(
            embeddings.tolist(), labels, criterion.prototypes.tolist(), weights, 32
        )
        expected = sum(own) / len(own) + sum(others) / 6
        assert criterion(embeddings, targets, tuples).item() == pytest.approx(expected, rel=1e-9)


def to_counts() -> Pairs:
    """Sample 0 is named twice, 1 and 2 once each, 3 never."""
    positives = torch.zeros(4, 4, dtype=torch.bool)
    negatives = positives.clone()
    positives[0, 1] = negatives[0, 2] = True
    return Pairs(positives, negatives)


def test_nothing_named_is_a_loss_without_a_slope() -> None:
    embeddings, labels = batch([0, 0, 1])
    nothing = torch.zeros(3, 3, dtype=torch.bool)
    loss = ProxyAnchor(6, 8).double()(embeddings, labels, Pairs(nothing, nothing))
    loss.backward()
    assert loss == 0
    assert embeddings.grad is not None
    assert not embeddings.grad.any()


def test_a_regularizer_is_added_for_the_proxies() -> None:
    embeddings, labels = batch([0, 0, 1])
    plain, penalized = ProxyAnchor(6, 8), ProxyAnchor(6, 8, regularizer=LpNorm(weight=2))
    penalized.load_state_dict(plain.state_dict())
    expected = plain(embeddings.float(), labels) + LpNorm(weight=2)(plain.prototypes)
    torch.testing.assert_close(penalized(embeddings.float(), labels), expected)


def test_soft_labels_are_an_error() -> None:
    embeddings, _ = batch([0, 0, 1])
    with pytest.raises(TypeError, match="labels must be integers"):
        ProxyAnchor(3, 8).double()(embeddings, torch.eye(3))
