"""P2SGrad against its definition, class by class, and the gradient that the paper states."""

import math

import pytest
import torch

from criteria.p2sgrad import P2SGrad
from tests.batches import LABELS, batch, cosine


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], average: bool) -> None:
    embeddings, targets = batch(labels)
    criterion = P2SGrad(6, 8, average=average).double()
    total = math.fsum(
        (cosine(x, w) - (c == label)) ** 2
        for x, label in zip(embeddings.tolist(), labels, strict=True)
        for c, w in enumerate(criterion.prototypes.tolist())
    )
    expected = total / len(labels) / (6 if average else 2)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_gradient_is_that_of_the_paper() -> None:
    """For a prototype: (cos θ - [own]) ∂cos θ/∂w, where ∂cos θ/∂w = (x̂ - cos θ ŵ) / |w|."""
    embeddings, labels = batch([2])
    criterion = P2SGrad(3, 8).double()
    criterion(embeddings, labels).backward()
    x = embeddings.detach()[0] / embeddings.detach()[0].norm()
    for c, w in enumerate(criterion.prototypes.detach()):
        s = x @ w / w.norm()
        expected = (s - int(c == 2)) * (x - s * w / w.norm()) / w.norm()
        assert criterion.prototypes.grad is not None
        torch.testing.assert_close(criterion.prototypes.grad[c], expected)


def test_soft_labels_are_the_cosines_wanted() -> None:
    embeddings, _ = batch([0])
    criterion = P2SGrad(3, 8).double()
    cosines = [cosine(embeddings.tolist()[0], w) for w in criterion.prototypes.tolist()]
    expected = sum((s - t) ** 2 for s, t in zip(cosines, (0.2, 0.8, 0), strict=True)) / 2
    value = criterion(embeddings, torch.tensor([[0.2, 0.8, 0.0]]))
    assert value.item() == pytest.approx(expected)
