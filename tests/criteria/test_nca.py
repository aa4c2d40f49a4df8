"""NCA against its definition, anchor by anchor."""

import math

import pytest
import torch

from core.distance import Lp
from criteria.nca import NCA
from tests.batches import LABELS, batch, positive_pairs, unit


def by_definition(x: list[list[float]], labels: list[int], scale: float, log: bool) -> float:
    losses = []
    for i in range(len(labels)):
        odds = {j: math.exp(-scale * math.dist(x[i], x[j]) ** 2) for j in range(len(x)) if j != i}
        own = [odds[j] for a, j in positive_pairs(labels) if a == i]
        if own:
            p = sum(own) / sum(odds.values())
            losses.append(-math.log(p) if log else 1 - p)
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], normalize: bool, log: bool) -> None:
    embeddings, targets = batch(labels)
    scale = 3.0 if normalize else 0.1
    x = [unit(v) if normalize else v for v in embeddings.tolist()]
    expected = by_definition(x, labels, scale, log)
    distance = Lp(power=2) if normalize else None
    value = NCA(scale=scale, log=log, distance=distance)(embeddings, targets)
    assert value.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_an_impossible_neighbour_in_float32_stays_exact() -> None:
    """exp(-10000) is below any float."""
    embeddings = torch.tensor([[0.0], [100.0], [1.0]], requires_grad=True)
    loss = NCA()(embeddings, torch.tensor([0, 0, 1]))
    loss.backward()
    assert loss.item() == pytest.approx((100**2 - 1 + 100**2 - 99**2) / 2)
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_an_anchor_without_neighbours_makes_no_nan_on_the_way(labels: list[int], log: bool) -> None:
    embeddings, targets = batch(labels)
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        NCA(log=log)(embeddings, targets).backward()


def test_scale_must_be_positive() -> None:
    with pytest.raises(ValueError, match="scale"):
        NCA(scale=0)
