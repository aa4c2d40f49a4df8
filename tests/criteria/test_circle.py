"""Circle against its definition, anchor by anchor."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.distance import DotProduct, Lp
from criteria.circle import Circle
from tests.batches import LABELS, Vector, batch, cosine, negative_pairs, positive_pairs

Vectors = list[list[float]]


def dot(x: Vector, y: Vector) -> float:
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def by_definition(
    x: Vectors,
    labels: list[int],
    margin: float,
    scale: float,
    weights_at: Vectors | None = None,
    similarity: Callable[[Vector, Vector], float] = cosine,
) -> float:
    """The weights at other embeddings, if given."""
    y = weights_at or x
    losses = []
    for i in range(len(labels)):
        pull = [
            math.exp(
                -scale
                * max(0.0, 1 + margin - similarity(y[i], y[j]))
                * (similarity(x[i], x[j]) - 1 + margin)
            )
            for a, j in positive_pairs(labels)
            if a == i
        ]
        push = [
            math.exp(
                scale
                * max(0.0, similarity(y[i], y[j]) + margin)
                * (similarity(x[i], x[j]) - margin)
            )
            for a, j in negative_pairs(labels)
            if a == i
        ]
        if pull and push:
            losses.append(math.log(1 + sum(pull) * sum(push)))
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize(("margin", "scale"), [(0.4, 80.0), (0.25, 100.0), (0.0, 1.0)])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], margin: float, scale: float) -> None:
    embeddings, targets = batch(labels)
    expected = by_definition(embeddings.tolist(), labels, margin, scale)
    value = Circle(margin=margin, scale=scale)(embeddings, targets)
    assert value.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_gradient_takes_the_weights_as_constants(labels: list[int]) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    (gradient,) = torch.autograd.grad(Circle(scale=8.0)(embeddings, targets), embeddings)
    expected = differences(lambda y: by_definition(y, labels, 0.4, 8.0, weights_at=x), x)
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-7)


def differences(function: Callable[[Vectors], float], x: Vectors, step: float = 1e-6) -> Tensor:
    """Central finite differences."""
    gradient = torch.zeros(len(x), len(x[0]), dtype=torch.float64)
    for i, k in torch.cartesian_prod(torch.arange(len(x)), torch.arange(len(x[0]))).tolist():
        values = []
        for sign in (1, -1):
            moved = [row.copy() for row in x]
            moved[i][k] += sign * step
            values.append(function(moved))
        gradient[i, k] = (values[0] - values[1]) / (2 * step)
    return gradient


def test_value_with_the_dot_product_equals_the_definition() -> None:
    embeddings, targets = batch(LABELS["unbalanced"])
    x = embeddings.detach() / 4
    expected = by_definition(x.tolist(), LABELS["unbalanced"], 0.25, 10.0, similarity=dot)
    value = Circle(margin=0.25, scale=10.0, distance=DotProduct())(x, targets)
    assert value.item() == pytest.approx(expected, rel=1e-9)


def test_a_distance_without_a_similarity_of_one_is_an_error() -> None:
    message = r"^distance must be Cosine or DotProduct.*got Lp\(p=1, power=1, normalize=True\)$"
    with pytest.raises(ValueError, match=message):
        Circle(distance=Lp(p=1))


def test_extreme_scale_in_float32_stays_finite() -> None:
    embeddings, targets = batch(LABELS["balanced"])
    loss = Circle(scale=1e4)(embeddings.float(), targets)
    loss.backward()
    assert loss.isfinite()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize("bad", [{"margin": -0.1}, {"margin": 1.1}, {"scale": 0.0}])
def test_numbers_out_of_range_are_an_error(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(bad))}"):
        Circle(**bad)
