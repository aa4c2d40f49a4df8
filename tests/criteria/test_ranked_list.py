"""RankedList against its definition, anchor by anchor, and against pytorch-metric-learning."""

import math

import pytest
import torch
from pytorch_metric_learning import losses as pml

from criteria.ranked_list import RankedList
from tests.batches import LABELS, batch, euclidean, negative_pairs, positive_pairs

ALPHA, MARGIN = 1.3, 0.5


def weighted(excesses: list[float], temperature: float) -> float:
    kept = [e for e in excesses if e > 0]
    weights = [math.exp(temperature * e) for e in kept]
    return sum(w * e for w, e in zip(weights, kept, strict=True)) / max(sum(weights), 1e-300)


@pytest.mark.parametrize("balance", [0.5, 0.2])
@pytest.mark.parametrize(("t_pos", "t_neg"), [(0, 10), (3, 0)])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(
    labels: list[int], t_pos: float, t_neg: float, balance: float
) -> None:
    embeddings, targets = batch(labels)
    x, total = embeddings.tolist(), 0.0
    for i in range(len(labels)):
        far = [
            euclidean(x[i], x[j]) - (ALPHA - MARGIN) for a, j in positive_pairs(labels) if a == i
        ]
        close = [ALPHA - euclidean(x[i], x[j]) for a, j in negative_pairs(labels) if a == i]
        total += (1 - balance) * weighted(far, t_pos) + balance * weighted(close, t_neg)
    criterion = RankedList(None, ALPHA, MARGIN, t_pos, t_neg, balance)
    value = criterion(embeddings, targets).item()
    assert value == pytest.approx(total / len(labels), rel=1e-9)


def test_equals_pytorch_metric_learning_up_to_its_epsilon() -> None:
    """It adds 1e-5 per pair to the sum of the weights."""
    embeddings, labels = batch([0, 1, 2, 3] * 6)
    theirs = pml.RankedListLoss(margin=0.4, Tn=5, alpha=1.2)(embeddings.float(), labels)
    ours = RankedList(negative_temperature=5)(embeddings.float(), labels)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=0)


def test_survives_extreme_temperatures_in_float32() -> None:
    embeddings, targets = batch(LABELS["unbalanced"])
    criterion = RankedList(positive_temperature=1e4, negative_temperature=1e4)
    loss = criterion(embeddings.float(), targets)
    loss.backward()
    assert loss.isfinite()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


def test_bounds_must_make_sense() -> None:
    with pytest.raises(ValueError, match="margin"):
        RankedList(boundary=1.0, margin=1.5)
    with pytest.raises(ValueError, match="balance"):
        RankedList(balance=1.5)
