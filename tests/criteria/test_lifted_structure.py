"""LiftedStructure against its definition, pair by pair."""

import math

import pytest
import torch

from core.distance import Lp
from core.types import Pairs
from criteria.lifted_structure import LiftedStructure
from tests.batches import LABELS, batch, negative_pairs, positive_pairs, unit


def by_definition(x: list[list[float]], labels: list[int], margin: float) -> float:
    losses = []
    for i, j in positive_pairs(labels):
        push = sum(
            math.exp(margin - math.dist(x[a], x[n]))
            for a, n in negative_pairs(labels)
            if a in (i, j)
        )
        structured = math.dist(x[i], x[j]) + math.log(push) if push else 0.0
        losses.append(max(0.0, structured) ** 2 / 2)
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("margin", [-3.0, 1.0, 5.0])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], margin: float, normalize: bool) -> None:
    embeddings, targets = batch(labels)
    x = [unit(v) if normalize else v for v in embeddings.tolist()]
    criterion = LiftedStructure(margin=margin, distance=Lp() if normalize else None)
    expected = by_definition(x, labels, margin)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_negatives_of_a_reference_are_the_anchors_it_is_a_negative_of() -> None:
    """One positive pair (0, 0) and the negative pairs (0, 1), (1, 0) and (1, 1)."""
    anchors = torch.tensor([[0.0], [9.0]])
    references = torch.tensor([[2.0], [-1.0]])
    positives = torch.tensor([[True, False], [False, False]])
    value = LiftedStructure()(
        anchors,
        torch.tensor([0, 1]),
        Pairs(positives, ~positives),
        references=references,
        reference_labels=torch.tensor([0, 2]),
    )
    structured = 2 + math.log(math.exp(1 - 1) + math.exp(1 - 7))
    assert value.item() == pytest.approx(structured**2 / 2, rel=1e-6)


def test_far_samples_in_float32_stay_exact() -> None:
    """exp(1 - 1000) is below any float."""
    embeddings = torch.tensor([[0.0], [3000.0], [1000.0]], requires_grad=True)
    loss = LiftedStructure()(embeddings, torch.tensor([0, 0, 1]))
    loss.backward()
    assert loss.item() == pytest.approx((3000 + 1 - 1000) ** 2 / 2, rel=1e-6)
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()
