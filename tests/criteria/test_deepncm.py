"""DeepNCM against its definition, over several batches, and against metric-learning-layers."""

import math

import metric_learning_layers
import pytest
import torch

from core.classification import ClassifierHead
from core.distance import Cosine
from criteria.deepncm import DeepNCM
from tests.batches import batch

BATCHES = [[0, 1, 2, 0], [0, 0, 5], [1, 1, 4, 1, 2]]


def average(vectors: list[list[float]]) -> list[float]:
    return [math.fsum(column) / len(vectors) for column in zip(*vectors, strict=True)]


def test_value_and_means_equal_the_definition() -> None:
    criterion = DeepNCM(6, 8, decay=0.9).double()
    means = [[0.0] * 8 for _ in range(6)]
    for seed, labels in enumerate(BATCHES):
        embeddings, targets = batch(labels, seed=seed)
        total = 0.0
        for x, label in zip(embeddings.tolist(), labels, strict=True):
            squared = [math.fsum((a - b) ** 2 for a, b in zip(x, m, strict=True)) for m in means]
            total += squared[label] + math.log(sum(math.exp(-d) for d in squared))
        assert criterion(embeddings, targets).item() == pytest.approx(total / len(labels))
        for c in set(labels):
            own = [x for x, y in zip(embeddings.tolist(), labels, strict=True) if y == c]
            pairs = zip(means[c], average(own), strict=True)
            means[c] = [0.9 * old + 0.1 * new for old, new in pairs]
        torch.testing.assert_close(criterion.prototypes, torch.tensor(means, dtype=torch.float64))


def test_logits_equal_those_of_metric_learning_layers() -> None:
    """But for an offset per sample, which a softmax does not see."""
    ours = ClassifierHead(DeepNCM(6, 8, distance=Cosine(), scale=None))
    theirs = metric_learning_layers.DeepNCM(8, 6)
    for seed, labels in enumerate(BATCHES):
        embeddings, targets = batch(labels, seed=seed)
        x = embeddings.detach().float()
        expected = theirs(x, targets).log_softmax(dim=1)
        torch.testing.assert_close(ours(x, targets).log_softmax(dim=1), expected)


def test_means_weigh_soft_labels() -> None:
    embeddings, _ = batch([0, 0])
    criterion = DeepNCM(3, 8, decay=0.0).double()
    criterion(embeddings, torch.tensor([[0.25, 0.75, 0], [0.5, 0.5, 0]]))
    x, y = embeddings.detach()
    expected = torch.stack([(x + 2 * y) / 3, (3 * x + 2 * y) / 5, torch.zeros_like(x)])
    torch.testing.assert_close(criterion.prototypes, expected)


def test_evaluation_leaves_the_means() -> None:
    embeddings, labels = batch([0, 1, 2])
    criterion = DeepNCM(6, 8).double().eval()
    criterion(embeddings, labels)
    assert not criterion.prototypes.any()


def test_a_step_compares_with_the_means_before_it() -> None:
    """The gradient is that of the distance to the old means."""
    embeddings, labels = batch([0, 1])
    criterion = DeepNCM(2, 8).double()
    criterion(embeddings, labels)
    means = criterion.prototypes.clone()
    x = embeddings.detach().clone().requires_grad_()
    (criterion(x[:1], labels[:1])).backward()
    d = (x[:1].detach() - means).square().sum(dim=1)
    expected = 2 * (-d).softmax(dim=0)[1] * (means[1] - means[0])
    assert x.grad is not None
    torch.testing.assert_close(x.grad[0], expected)


def test_decay_out_of_range() -> None:
    with pytest.raises(ValueError, match="decay"):
        DeepNCM(6, 8, decay=1.0)
