"""ProxyNCA against its definition, proxy by proxy."""

import math

import pytest
import torch

from core.distance import Lp
from core.reducer import NonZeroMean
from criteria.proxynca import ProxyNCA
from tests.batches import LABELS, batch, euclidean


@pytest.mark.parametrize("include_own", [False, True])
@pytest.mark.parametrize("length", [1.0, 3.0])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], length: float, include_own: bool) -> None:
    embeddings, targets = batch(labels)
    criterion = ProxyNCA(6, 8, length, include_own=include_own).double()
    total = 0.0
    for x, label in zip(embeddings.tolist(), labels, strict=True):
        odds = [math.exp(-((length * euclidean(x, p)) ** 2)) for p in criterion.prototypes.tolist()]
        others = sum(odds) if include_own else sum(odds) - odds[label]
        total -= math.log(odds[label] / others)
    expected = total / len(labels)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("length", [1.0, 0.5])
def test_another_distance_takes_the_place_of_the_squared_one(length: float) -> None:
    labels = [0, 1, 2, 1]
    embeddings, targets = batch(labels)
    criterion = ProxyNCA(6, 8, length, distance=Lp(normalize=False)).double()
    total = 0.0
    for x, label in zip(embeddings.tolist(), labels, strict=True):
        odds = [math.exp(-(length**2) * math.dist(x, p)) for p in criterion.prototypes.tolist()]
        total -= math.log(odds[label] / (sum(odds) - odds[label]))
    assert criterion(embeddings, targets).item() == pytest.approx(total / 4, rel=1e-9)


def test_proxies_start_as_those_of_roth_et_al() -> None:
    torch.manual_seed(0)
    proxies = ProxyNCA(6, 8).prototypes
    torch.manual_seed(0)
    assert proxies.equal(torch.randn(6, 8) / 8)


def test_needs_two_classes() -> None:
    with pytest.raises(ValueError, match="num_classes"):
        ProxyNCA(1, 8)


def test_the_mean_of_the_losses_above_zero_leaves_those_below_out() -> None:
    """Of two samples one was closer to its proxy than to the other by far: a loss below zero."""
    criterion = ProxyNCA(2, 2, length=3, reducer=NonZeroMean())
    criterion.prototypes.data = torch.eye(2)
    value = criterion(torch.tensor([[1.0, 0.0], [1.0, 0.1]]), torch.tensor([0, 1]))
    assert value.item() == pytest.approx(16.120, abs=1e-3)
