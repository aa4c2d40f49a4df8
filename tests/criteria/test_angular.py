"""Angular against its definition, pair by pair."""

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import AngularLoss

import criteria.angular
from core.regularizer import LpNorm
from criteria.angular import Angular
from tests.batches import LABELS, batch, negative_pairs, positive_pairs, unit


def dot(x: list[float], y: list[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def by_definition(
    x: list[list[float]], labels: list[int], alpha: float, angular: float, npair: float
) -> float:
    t = math.tan(math.radians(alpha)) ** 2
    u = [unit(v) for v in x]
    losses = []
    for a, p in positive_pairs(labels):
        negatives = [n for b, n in negative_pairs(labels) if b == a]
        both = [i + j for i, j in zip(u[a], u[p], strict=True)]
        angles = [4 * t * dot(both, u[n]) - 2 * (1 + t) * dot(u[a], u[p]) for n in negatives]
        excesses = [dot(x[a], x[n]) - dot(x[a], x[p]) for n in negatives]
        losses.append(
            angular * math.log(1 + sum(map(math.exp, angles)))
            + npair * math.log(1 + sum(map(math.exp, excesses)))
        )
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize("weights", [(2.0, 1.0), (1.0, 0.0)], ids=["paper", "angular part"])
@pytest.mark.parametrize("alpha", [10.0, 45.0, 60.0])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("few", [0, 8], ids=["as a product", "one by one"])
def test_value_equals_the_definition(
    labels: list[int],
    alpha: float,
    weights: tuple[float, float],
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(criteria.angular, "FEW", few)
    embeddings, targets = batch(labels)
    expected = by_definition(embeddings.tolist(), labels, alpha, *weights)
    criterion = Angular(None, alpha, *weights)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_regularizer_sees_the_embeddings_as_they_are() -> None:
    embeddings, targets = batch(LABELS["balanced"])
    penalty = 0.005 * sum(dot(v, v) ** 0.5 for v in embeddings.tolist()) / len(embeddings)
    with_penalty = Angular(regularizer=LpNorm(0.005))(embeddings, targets)
    without = Angular()(embeddings, targets)
    assert (with_penalty - without).item() == pytest.approx(penalty, rel=1e-9)


def test_unit_embeddings_equal_pytorch_metric_learning() -> None:
    """There the negatives are not normalised."""
    embeddings, targets = batch([0, 1, 2] * 3)
    units = F.normalize(embeddings).detach().requires_grad_()
    gradients = []
    for criterion in (Angular(None, 40, 1, 0), AngularLoss(alpha=40)):
        through = F.normalize(units)
        gradients.append(torch.autograd.grad(criterion(through, targets), units)[0])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_equal_sides_at_60_degrees() -> None:
    """a = p, n at 90 degrees: t = 3, so that the exponent is -2(1 + 3)."""
    embeddings = torch.tensor([[2.0, 0.0], [5.0, 0.0], [0.0, 3.0]]).double()
    value = Angular(None, 60, 1, 0)(embeddings, torch.tensor([0, 0, 1]))
    assert value.item() == pytest.approx(math.log(1 + math.exp(-8)))


def test_widest_angle_in_float32_keeps_the_faintest_negatives() -> None:
    """Antipodal negatives have the smallest exponents, 24 t below the largest."""
    embeddings = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [-1.0, 1e-3]], requires_grad=True)
    loss = Angular(None, 60, 1, 0)(embeddings, torch.tensor([1, 0, 0]))
    loss.backward()
    exact = Angular(None, 60, 1, 0)(embeddings.detach().double(), torch.tensor([1, 0, 0]))
    assert 0 < exact.item() < 1e-12
    assert loss.item() == pytest.approx(exact.item(), rel=1e-4)
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize("alpha", [0.0, 61.0])
def test_alpha_must_be_an_angle_of_a_shortest_side(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        Angular(alpha=alpha)
