"""ArcFace against its definition, angle by angle."""

import math

import pytest
import torch

from criteria.arcface import ArcFace
from tests.batches import LABELS, batch, cosine


def by_definition(
    x: list[list[float]],
    labels: list[int],
    prototypes: list[list[float]],
    margin: float,
    monotonic: bool,
    scale: float = 16.0,
) -> float:
    total = 0.0
    for anchor, label in zip(x, labels, strict=True):
        logits = [scale * cosine(anchor, w) for w in prototypes]
        angle = math.acos(logits[label] / scale)
        if monotonic and angle + margin > math.pi:
            logits[label] = scale * (math.cos(angle) - margin * math.sin(margin))
        else:
            logits[label] = scale * math.cos(angle + margin)
        total += math.log(sum(math.exp(logit) for logit in logits)) - logits[label]
    return total / len(x)


@pytest.mark.parametrize("monotonic", [False, True])
@pytest.mark.parametrize("margin", [0.0, 0.5, 2.0])  # 2 rad takes many angles beyond π
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], margin: float, monotonic: bool) -> None:
    embeddings, targets = batch(labels)
    criterion = ArcFace(6, 8, margin, scale=16.0, monotonic=monotonic).double()
    prototypes = criterion.prototypes.tolist()
    expected = by_definition(embeddings.tolist(), labels, prototypes, margin, monotonic)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("sign", [1, -1], ids=["on the prototype", "opposite to it"])
@pytest.mark.parametrize("monotonic", [False, True])
def test_extreme_angles_have_finite_gradients(sign: int, monotonic: bool) -> None:
    """The slope of the arc cosine is infinite there."""
    criterion = ArcFace(6, 8, monotonic=monotonic)
    criterion.prototypes.data = torch.eye(6, 8)  # so that the cosines are exactly 1 and -1
    embeddings = (sign * criterion.prototypes.detach()).requires_grad_()
    criterion(embeddings, torch.arange(6)).backward()
    assert embeddings.grad is not None
    assert criterion.prototypes.grad is not None
    assert embeddings.grad.isfinite().all()
    assert criterion.prototypes.grad.isfinite().all()
