"""SupCon against its definition, anchor by anchor."""

import math

import pytest
import torch

from core.reducer import Mean, NonZeroMean
from criteria.supcon import SupCon
from tests.batches import LABELS, batch, cosine, negative_pairs, positive_pairs


def anchors_by_definition(
    x: list[list[float]], labels: list[int], temperature: float, outside: bool
) -> list[float]:
    """L_i of each anchor with positives."""
    losses = []
    for i in range(len(labels)):
        positives = [j for a, j in positive_pairs(labels) if a == i]
        others = positives + [j for a, j in negative_pairs(labels) if a == i]
        if not positives:
            continue
        odds = {j: math.exp(cosine(x[i], x[j]) / temperature) for j in others}
        chances = [odds[j] / sum(odds.values()) for j in positives]
        if outside:
            losses.append(-sum(math.log(p) for p in chances) / len(chances))
        else:
            losses.append(-math.log(sum(chances) / len(chances)))
    return losses


@pytest.mark.parametrize("reducer", [Mean, NonZeroMean])
@pytest.mark.parametrize("outside", [True, False])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], outside: bool, reducer: type) -> None:
    embeddings, targets = batch(labels)
    losses = anchors_by_definition(embeddings.tolist(), labels, 0.3, outside)
    expected = sum(losses) / max(len(losses), 1)
    criterion = SupCon(temperature=0.3, outside=outside, reducer=reducer())
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_paper_form_is_the_default() -> None:
    """Cosines 1 to the positive and 0 to the negative: log(e^10 + 1) - 10 for both anchors."""
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    loss = SupCon()(embeddings, torch.tensor([0, 0, 1]))
    assert loss.item() == pytest.approx(math.log1p(math.exp(-10)))


def test_survives_a_sharp_softmax_in_float32() -> None:
    embeddings, targets = batch(LABELS["unbalanced"])
    loss = SupCon(temperature=0.001)(embeddings.float(), targets)
    loss.backward()
    assert loss.isfinite()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


def test_temperature_must_be_positive() -> None:
    with pytest.raises(ValueError, match="temperature"):
        SupCon(temperature=0)
