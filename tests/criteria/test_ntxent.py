"""NTXent against its definition, pair by pair."""

import math

import pytest
import torch

from core.distance import Lp
from criteria.ntxent import NTXent
from tests.batches import LABELS, batch, cosine, euclidean, negative_pairs, positive_pairs

SIMILARITIES = {
    "cosine": (None, cosine),
    "Manhattan": (
        Lp(p=1, normalize=False),
        lambda x, y: -sum(abs(a - b) for a, b in zip(x, y, strict=True)),
    ),
    "Euclidean": (Lp(), lambda x, y: -euclidean(x, y)),
}


@pytest.mark.parametrize("choice", SIMILARITIES)
@pytest.mark.parametrize("temperature", [0.07, 2.0])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], temperature: float, choice: str) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    distance, similarity = SIMILARITIES[choice]
    losses = []
    for a, p in positive_pairs(labels):
        own = math.exp(similarity(x[a], x[p]) / temperature)
        others = sum(
            math.exp(similarity(x[a], x[n]) / temperature)
            for b, n in negative_pairs(labels)
            if b == a
        )
        losses.append(-math.log(own / (own + others)))
    expected = sum(losses) / max(len(losses), 1)
    value = NTXent(temperature=temperature, distance=distance)(embeddings, targets)
    assert value.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_freezing_temperature_in_float32_stays_exact() -> None:
    """exp(1 / 0.001) is beyond any float."""
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], requires_grad=True)
    loss = NTXent(temperature=1e-3)(embeddings, torch.tensor([0, 0, 1]))
    loss.backward()
    assert loss.item() == pytest.approx((1000 + math.log(2)) / 2)
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


def test_temperature_must_be_positive() -> None:
    with pytest.raises(ValueError, match="temperature"):
        NTXent(temperature=0)
