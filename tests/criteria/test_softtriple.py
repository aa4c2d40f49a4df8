"""SoftTriple against its definition, center by center."""

import math

import pytest

from core.regularizer import LpNorm
from criteria.softtriple import SoftTriple
from tests.batches import LABELS, batch, cosine, euclidean


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("k", "scale"), [(10, 20.0), (2, 8.0), (1, 8.0)])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(
    labels: list[int], k: int, scale: float, training: bool
) -> None:
    embeddings, targets = batch(labels)
    criterion = SoftTriple(6, 8, k, scale=scale, margin=0.3).double().train(training)
    flat = criterion.prototypes.tolist()
    centers = [flat[c * k : (c + 1) * k] for c in range(6)]
    total = 0.0
    for x, label in zip(embeddings.tolist(), labels, strict=True):
        logits = []
        for c in range(6):
            cosines = [cosine(x, w) for w in centers[c]]
            odds = [math.exp(s / 0.1) for s in cosines]
            relaxed = sum(o * s for o, s in zip(odds, cosines, strict=True)) / sum(odds)
            logits.append(scale * (relaxed - 0.3 * (training and c == label)))
        total += math.log(sum(math.exp(logit) for logit in logits)) - logits[label]
    distances = sum(
        euclidean(own[s], own[t]) for own in centers for s in range(k) for t in range(s + 1, k)
    )
    expected = total / len(labels) + (0.2 * distances / (6 * k * (k - 1)) if k > 1 else 0)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_a_regularizer_takes_the_place_of_merging() -> None:
    embeddings, labels = batch([0, 1, 2])
    merging = SoftTriple(3, 8, tau=0.0).double()
    other = SoftTriple(3, 8, regularizer=LpNorm(weight=2)).double()
    other.load_state_dict(merging.state_dict())
    expected = merging(embeddings, labels) + LpNorm(weight=2)(merging.prototypes)
    assert other(embeddings, labels).item() == pytest.approx(expected.item())


def test_no_temperature_is_an_error() -> None:
    with pytest.raises(ValueError, match="gamma must be positive"):
        SoftTriple(6, 8, gamma=0)
