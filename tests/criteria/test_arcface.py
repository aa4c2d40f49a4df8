"""ArcFace against its definition, angle by angle."""

import math

import metric_learning_layers
import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import losses

from core.classification import ClassifierHead
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


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("num_sub_centers", [1, 3])
def test_logits_equal_those_of_metric_learning_layers(num_sub_centers: int, training: bool) -> None:
    embeddings, labels = batch([0, 1, 2, 3, 5])
    ours = ArcFace(6, 8, scale=None, num_sub_centers=num_sub_centers).train(training)
    theirs = metric_learning_layers.ArcFace(8, 6, num_sub_centers=num_sub_centers).train(training)
    theirs.weight.data = ours.prototypes.data
    soft = 0.5 * F.one_hot(labels, 6) + 0.5 * F.one_hot(labels.flip(0), 6)
    for targets in (labels, soft):
        expected = theirs(embeddings.float(), targets)
        torch.testing.assert_close(ClassifierHead(ours)(embeddings.float(), targets), expected)


def test_outliers_are_far_from_the_sub_center_most_samples_of_the_class_have() -> None:
    criterion = ArcFace(2, 3, num_sub_centers=2)
    criterion.prototypes.data = torch.tensor(  # two per class
        [[1.0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]
    )
    embeddings = torch.tensor(
        [[9.0, 1, 0], [0, 2, 0], [5, 0, 1], [1, 1.5, 0], [0, 0, 1], [1, 0, 0.5], [0, 3, 0]]
    )
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    # class 0: 1, 3 are closer to the second, a draw that the first wins; 1 is 90 degrees from it
    # class 1: 4, 5 are closer to the second; 6 is 90 degrees from it, 5 is 63
    expected = [False, True, False, False, False, False, True]
    assert criterion.outliers(embeddings, labels).tolist() == expected
    expected[5] = True
    assert criterion.outliers(embeddings, labels, threshold=60).tolist() == expected


def test_outliers_equal_those_of_pytorch_metric_learning() -> None:
    embeddings, labels = batch([0, 1, 2, 3, 5] * 20)
    ours = ArcFace(6, 8, num_sub_centers=3)
    theirs = losses.SubCenterArcFaceLoss(num_classes=6, embedding_size=8, sub_centers=3)
    theirs.W.data = ours.prototypes.data.T.clone()
    expected, _ = theirs.get_outliers(embeddings.detach().float(), labels)
    got = ours.outliers(embeddings.float(), labels)
    assert got.any()
    assert not got.all()
    assert sorted(expected.tolist()) == got.nonzero().squeeze(1).tolist()
