"""NormalizedSoftmax against its definition, class by class."""

import math

import metric_learning_layers
import pytest
import torch

from core.classification import ClassifierHead
from core.distance import Lp
from core.types import Triplets
from criteria.softmax import NormalizedSoftmax
from tests.batches import LABELS, batch, cosine


def by_definition(
    x: list[list[float]], labels: list[int], prototypes: list[list[float]], temperature: float
) -> list[float]:
    losses = []
    for anchor, label in zip(x, labels, strict=True):
        odds = [math.exp(cosine(anchor, w) / temperature) for w in prototypes]
        losses.append(-math.log(odds[label] / sum(odds)))
    return losses


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int]) -> None:
    embeddings, targets = batch(labels)
    criterion = NormalizedSoftmax(6, 8, temperature=0.1).double()
    losses = by_definition(embeddings.tolist(), labels, criterion.prototypes.tolist(), 0.1)
    expected = sum(losses) / len(losses)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_tuples_weigh_each_sample_by_how_often_they_name_it() -> None:
    labels = [0, 0, 1, 2]
    embeddings, targets = batch(labels)
    criterion = NormalizedSoftmax(6, 8, temperature=0.1).double()
    losses = by_definition(embeddings.tolist(), labels, criterion.prototypes.tolist(), 0.1)
    triplets = Triplets(*torch.tensor([[0, 1, 2], [1, 0, 2]]).T)
    expected = (2 * losses[0] + 2 * losses[1] + 2 * losses[2]) / 6
    assert criterion(embeddings, targets, triplets).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("learn_scale", [True, False])
@pytest.mark.parametrize("num_sub_centers", [1, 3])
@pytest.mark.parametrize("temperature", [0.1, None])
def test_logits_equal_those_of_metric_learning_layers(
    temperature: float | None, num_sub_centers: int, learn_scale: bool
) -> None:
    """The scaled normalized linear layer; without a scale, fixed AdaCos."""
    embeddings, labels = batch([0, 1, 2])
    options = {"num_sub_centers": num_sub_centers, "learn_scale": learn_scale}
    ours = NormalizedSoftmax(6, 8, temperature, **options)
    if temperature is None:
        theirs = metric_learning_layers.FixedAdaCos(8, 6, num_sub_centers)
    else:
        theirs = metric_learning_layers.ScaledNormalizedLinear(8, 6, num_sub_centers, scale=10.0)
    theirs.weight.data = ours.prototypes.data
    expected = theirs(embeddings.float(), labels)
    torch.testing.assert_close(ClassifierHead(ours)(embeddings.float()), expected)


def test_no_temperature_is_an_error_unless_none() -> None:
    with pytest.raises(ValueError, match="temperature"):
        NormalizedSoftmax(6, 8, temperature=0)


def test_another_distance_gives_the_similarities() -> None:
    """Its similarity is the negative distance."""
    embeddings, targets = batch([0, 1, 2])
    criterion = NormalizedSoftmax(3, 8, temperature=0.5, distance=Lp(normalize=False)).double()
    losses = []
    for x, label in zip(embeddings.tolist(), [0, 1, 2], strict=True):
        odds = [math.exp(-math.dist(x, w) / 0.5) for w in criterion.prototypes.tolist()]
        losses.append(-math.log(odds[label] / sum(odds)))
    assert criterion(embeddings, targets).item() == pytest.approx(sum(losses) / 3, rel=1e-9)
