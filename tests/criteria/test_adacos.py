"""AdaCos against its definition, over several batches."""

import copy
import math
import statistics

import pytest
import torch

from core.classification import ClassifierHead
from criteria.adacos import AdaCos
from tests.batches import batch, cosine


def next_scale(cosines: list[list[float]], labels: list[int], scale: float) -> float:
    others = [
        math.exp(scale * s)
        for row, label in zip(cosines, labels, strict=True)
        for c, s in enumerate(row)
        if c != label
    ]
    angles = [math.acos(row[label]) for row, label in zip(cosines, labels, strict=True)]
    middle = statistics.median_low(angles)
    return max(1.0, math.log(sum(others) / len(labels)) / math.cos(min(math.pi / 4, middle)))


@pytest.mark.parametrize("closeness", [0.0, 10.0], ids=["far", "closer than 45 degrees"])
def test_scale_and_value_equal_the_definition(closeness: float) -> None:
    criterion = AdaCos(6, 8).double()
    scale = math.sqrt(2) * math.log(5)
    assert criterion.scale.item() == pytest.approx(scale)
    for seed, labels in enumerate([[0, 1, 2, 3], [0, 0, 5], [1, 1, 4, 3, 2]]):
        embeddings, targets = batch(labels, seed=seed)
        with torch.no_grad():
            embeddings += closeness * criterion.prototypes[targets]
        cosines = [
            [cosine(x, w) for w in criterion.prototypes.tolist()] for x in embeddings.tolist()
        ]
        scale = next_scale(cosines, labels, scale)
        total = 0.0
        for row, label in zip(cosines, labels, strict=True):
            odds = [math.exp(scale * s) for s in row]
            total -= math.log(odds[label] / sum(odds))
        value = criterion(embeddings, targets).item()
        assert criterion.scale.item() == pytest.approx(scale)
        assert value == pytest.approx(total / len(labels))


def test_evaluation_leaves_the_scale() -> None:
    embeddings, labels = batch([0, 1, 2])
    criterion = AdaCos(6, 8).double().eval()
    before = criterion.scale.clone()
    criterion(embeddings, labels)
    assert criterion.scale.equal(before)
    criterion.train()
    ClassifierHead(criterion)(embeddings)  # without labels there is nothing to adapt to
    assert criterion.scale.equal(before)


def test_two_batches_may_share_one_backward_pass() -> None:
    embeddings, labels = batch([0, 1, 2])
    criterion = AdaCos(6, 8).double()
    (criterion(embeddings, labels) + criterion(2 * embeddings, labels)).backward()


@pytest.mark.parametrize("num_classes", [1, 2])
def test_few_classes_have_a_positive_scale(num_classes: int) -> None:
    embeddings, labels = batch([0, 0])
    criterion = AdaCos(num_classes, 8).double()
    for _ in range(5):
        assert criterion(embeddings, labels).isfinite()
        assert 0.9 < criterion.scale.item() < 100


def test_soft_labels_weigh_the_other_classes() -> None:
    embeddings, _ = batch([0])
    criterion = AdaCos(3, 8).double()
    cosines = [cosine(embeddings.tolist()[0], w) for w in criterion.prototypes.tolist()]
    scale = math.sqrt(2) * math.log(2)
    others = sum((1 - t) * math.exp(scale * s) for t, s in zip((0.3, 0.7, 0), cosines, strict=True))
    angle = min(math.pi / 4, math.acos(cosines[1]))
    criterion(embeddings, torch.tensor([[0.3, 0.7, 0.0]]))
    assert criterion.scale.item() == pytest.approx(max(1, math.log(others) / math.cos(angle)))


def test_half_precision_embeddings_keep_the_scale_precise() -> None:
    embeddings, labels = batch([0, 1, 2])
    criterion = AdaCos(6, 8)
    other = copy.deepcopy(criterion)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        criterion(embeddings.bfloat16(), labels)
    other(embeddings.bfloat16().float(), labels)
    assert criterion.scale.dtype == torch.float32
    torch.testing.assert_close(criterion.scale, other.scale)
