"""GeneralizedLifted against its definition, anchor by anchor."""

import math

import pytest
import torch
from pytorch_metric_learning import losses

from core.distance import Lp
from core.regularizer import LpNorm
from core.types import Pairs
from criteria.generalized_lifted import GeneralizedLifted
from tests.batches import LABELS, batch, negative_pairs, positive_pairs, unit


def by_definition(
    x: list[list[float]], labels: list[int], margin: float, positive: float = 0.0
) -> float:
    losses = []
    for i in range(len(labels)):
        pull = sum(
            math.exp(math.dist(x[i], x[p]) - positive) for a, p in positive_pairs(labels) if a == i
        )
        push = sum(
            math.exp(margin - math.dist(x[i], x[n])) for a, n in negative_pairs(labels) if a == i
        )
        if pull and push:
            losses.append(max(0.0, math.log(pull) + math.log(push)))
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("margin", "positive"), [(-3.0, 0.0), (1.0, 0.5), (5.0, -1.0)])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(
    labels: list[int], margin: float, positive: float, normalize: bool
) -> None:
    embeddings, targets = batch(labels)
    x = [unit(v) if normalize else v for v in embeddings.tolist()]
    criterion = GeneralizedLifted(
        margin=margin, positive_margin=positive, distance=Lp() if normalize else None
    )
    expected = by_definition(x, labels, margin, positive)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_regularizer_adds_the_mean_length_as_roth_et_al() -> None:
    labels = LABELS["unbalanced"]
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    length = sum(math.hypot(*v) for v in x) / len(x)
    expected = by_definition(x, labels, 1.0) + 0.005 * length
    criterion = GeneralizedLifted(regularizer=LpNorm(0.005))
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_an_anchor_without_negatives_does_not_count() -> None:
    """Nor does one without positives: only the first of three has both."""
    embeddings, targets = batch([0, 0, 1])
    positives = torch.tensor([[False, True, False], [True, False, False], [False, False, False]])
    negatives = torch.tensor([[False, False, True], [False, False, False], [True, True, False]])
    x = embeddings.tolist()
    value = GeneralizedLifted(margin=20.0)(embeddings, targets, Pairs(positives, negatives))
    expected = math.dist(x[0], x[1]) + 20 - math.dist(x[0], x[2])
    assert value.item() == pytest.approx(expected, rel=1e-9)


def test_one_of_each_is_a_triplet_hinge() -> None:
    """exp(1000) is beyond any float."""
    embeddings = torch.tensor([[0.0], [1000.0], [3.0]], requires_grad=True)
    criterion = GeneralizedLifted(margin=0.5)
    loss = criterion(embeddings, torch.tensor([0, 0, 1]))
    loss.backward()
    hinges = [1000 - 3 + 0.5, 1000 - 997 + 0.5]
    assert loss.item() == pytest.approx(sum(hinges) / 2)
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


def test_margins_equal_those_of_pytorch_metric_learning() -> None:
    embeddings, labels = batch(LABELS["balanced"])
    theirs = losses.GeneralizedLiftedStructureLoss(neg_margin=0.7, pos_margin=0.4)(
        embeddings, labels
    )
    ours = GeneralizedLifted(margin=0.7, positive_margin=0.4, distance=Lp())
    torch.testing.assert_close(ours(embeddings, labels), theirs)
