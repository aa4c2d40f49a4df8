"""TupletMargin against its definition, tuplet by tuplet."""

import math

import pytest
import torch

from core.types import Triplets
from criteria.tuplet_margin import TupletMargin
from tests.batches import LABELS, batch, cosine, negative_pairs, positive_pairs


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int]) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    losses = []
    for a, p in positive_pairs(labels):
        relaxed = math.cos(math.acos(cosine(x[a], x[p])) - math.radians(20))
        negatives = [cosine(x[a], x[n]) for b, n in negative_pairs(labels) if b == a]
        losses.append(math.log(1 + sum(math.exp(5 * (s - relaxed)) for s in negatives)))
    expected = sum(losses) / max(len(losses), 1)
    value = TupletMargin(margin=20, scale=5)(embeddings, targets).item()
    assert value == pytest.approx(expected, rel=1e-9)


def test_a_positive_is_best_at_the_margin() -> None:
    """At an angle of β to the anchor, rather than on top of it."""
    losses = []
    for degrees in (0.0, 5.73, 12.0):
        theta = math.radians(degrees)
        positive = [math.cos(theta), math.sin(theta)]
        embeddings = torch.tensor([[1.0, 0.0], positive, [0.0, -1.0]], dtype=torch.float64)
        only = Triplets(torch.tensor([0]), torch.tensor([1]), torch.tensor([2]))
        losses.append(TupletMargin()(embeddings, torch.tensor([0, 0, 1]), only))
    assert losses[1] < losses[0]
    assert losses[1] < losses[2]


def test_scale_must_be_positive() -> None:
    with pytest.raises(ValueError, match="scale"):
        TupletMargin(scale=0)
