"""CosFace against its definition, class by class, and against metric-learning-layers."""

import math

import metric_learning_layers
import pytest
import torch
import torch.nn.functional as F

from core.classification import ClassifierHead
from criteria.cosface import CosFace
from tests.batches import LABELS, batch, cosine


@pytest.mark.parametrize("margin", [0.0, 0.35])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], margin: float) -> None:
    embeddings, targets = batch(labels)
    criterion = CosFace(6, 8, margin, scale=16.0).double()
    total = 0.0
    for x, label in zip(embeddings.tolist(), labels, strict=True):
        logits = [16 * cosine(x, w) for w in criterion.prototypes.tolist()]
        logits[label] -= 16 * margin
        total += math.log(sum(math.exp(logit) for logit in logits)) - logits[label]
    expected = total / len(labels)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("num_sub_centers", [1, 3])
def test_logits_equal_those_of_metric_learning_layers(num_sub_centers: int, training: bool) -> None:
    embeddings, labels = batch([0, 1, 2, 3, 5])
    ours = CosFace(6, 8, margin=0.5, scale=None, num_sub_centers=num_sub_centers).train(training)
    theirs = metric_learning_layers.CosFace(8, 6, num_sub_centers=num_sub_centers).train(training)
    theirs.weight.data = ours.prototypes.data
    soft = 0.5 * F.one_hot(labels, 6) + 0.5 * F.one_hot(labels.flip(0), 6)
    for targets in (labels, soft):
        expected = theirs(embeddings.float(), targets)
        torch.testing.assert_close(ClassifierHead(ours)(embeddings.float(), targets), expected)


@pytest.mark.parametrize("margin", [-0.1, 2.1])
def test_margin_out_of_range(margin: float) -> None:
    with pytest.raises(ValueError, match="margin must be between 0 and 2"):
        CosFace(6, 8, margin)
