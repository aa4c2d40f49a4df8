"""LiftedStructure against its definition, pair by pair."""

import math

import pytest
import torch
from pytorch_metric_learning import losses

from core.distance import Lp
from core.types import Pairs
from criteria.lifted_structure import LiftedStructure
from tests.batches import LABELS, batch, negative_pairs, positive_pairs, unit


def by_definition(x: list[list[float]], labels: list[int], margin: float, positive: float) -> float:
    losses = []
    for i, j in positive_pairs(labels):
        push = sum(
            math.exp(margin - math.dist(x[a], x[n]))
            for a, n in negative_pairs(labels)
            if a in (i, j)
        )
        structured = math.dist(x[i], x[j]) - positive + math.log(push) if push else 0.0
        losses.append(max(0.0, structured) ** 2 / 2)
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("margin", "positive"), [(-3.0, 0.0), (1.0, 0.5), (5.0, -1.0)])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(
    labels: list[int], margin: float, positive: float, normalize: bool
) -> None:
    embeddings, targets = batch(labels)
    x = [unit(v) if normalize else v for v in embeddings.tolist()]
    criterion = LiftedStructure(
        margin=margin, positive_margin=positive, distance=Lp() if normalize else None
    )
    expected = by_definition(x, labels, margin, positive)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_negatives_of_a_reference_are_the_anchors_it_is_a_negative_of() -> None:
    """Positive pairs (0, 0), (1, 2) and (2, 3), negative pairs (0, 1), (1, 0) and (1, 3)."""
    anchors = torch.tensor([[0.0], [9.0], [5.0]])
    references = torch.tensor([[2.0], [-1.0], [9.5], [7.0]])
    pairs = torch.zeros(2, 3, 4, dtype=torch.bool)
    pairs[0, [0, 1, 2], [0, 2, 3]] = True
    pairs[1, [0, 1, 1], [1, 0, 3]] = True
    against = {"references": references, "reference_labels": torch.tensor([0, 2, 1, 3])}
    value = LiftedStructure(margin=8.0)(anchors, torch.tensor([0, 1, 3]), Pairs(*pairs), **against)
    of_both = 2 + math.log(math.exp(8 - 1) + math.exp(8 - 7))
    of_anchor = 0.5 + math.log(math.exp(8 - 7) + math.exp(8 - 2))
    of_reference = 2 + 8 - 2
    expected = (of_both**2 + of_anchor**2 + of_reference**2) / 2 / 3
    assert value.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("labels", [LABELS["one class"], LABELS["single"]])
def test_without_negatives_there_is_no_nan_on_the_way(labels: list[int]) -> None:
    embeddings, targets = batch(labels)
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        LiftedStructure()(embeddings, targets).backward()


def test_far_samples_in_float32_stay_exact() -> None:
    """exp(1 - 1000) is below any float."""
    embeddings = torch.tensor([[0.0], [3000.0], [1000.0]], requires_grad=True)
    loss = LiftedStructure()(embeddings, torch.tensor([0, 0, 1]))
    loss.backward()
    assert loss.item() == pytest.approx((3000 + 1 - 1000) ** 2 / 2, rel=1e-6)
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


def test_margins_equal_those_of_pytorch_metric_learning() -> None:
    embeddings, labels = batch(LABELS["balanced"])
    theirs = losses.LiftedStructureLoss(neg_margin=0.7, pos_margin=0.4)(embeddings, labels)
    ours = LiftedStructure(margin=0.7, positive_margin=0.4, distance=Lp())
    torch.testing.assert_close(ours(embeddings, labels), theirs)
