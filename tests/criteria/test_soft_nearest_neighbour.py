"""SoftNearestNeighbour against its definition, anchor by anchor."""

import math

import pytest
import torch

from core.distance import Lp
from core.tuples import all_pairs
from core.types import Pairs
from criteria.soft_nearest_neighbour import SoftNearestNeighbour
from tests.batches import LABELS, batch, negative_pairs, positive_pairs, unit


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], normalize: bool) -> None:
    embeddings, targets = batch(labels)
    x = [unit(row) if normalize else row for row in embeddings.tolist()]
    losses = []
    for i in range(len(labels)):
        positives = [j for a, j in positive_pairs(labels) if a == i]
        others = positives + [j for a, j in negative_pairs(labels) if a == i]
        odds = {j: math.exp(-(math.dist(x[i], x[j]) ** 2) / 20) for j in others}
        if positives:
            losses.append(-math.log(sum(odds[j] for j in positives) / sum(odds.values())))
    expected = sum(losses) / max(len(losses), 1)
    distance = Lp(power=2) if normalize else None
    value = SoftNearestNeighbour(temperature=20, distance=distance)(embeddings, targets).item()
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_one_close_positive_is_enough() -> None:
    """Positives at squared distances 0 and 9, a negative at 4: log(1 + e^-4 / (1 + e^-9))."""
    embeddings = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 3.0], [2.0, 0.0]]).double()
    labels = torch.tensor([0, 0, 0, 1])
    first = torch.zeros(4, 4, dtype=torch.bool)
    first[0] = True
    chosen = Pairs(*(mask & first for mask in all_pairs(labels)))
    expected = math.log1p(math.exp(-4) / (1 + math.exp(-9)))
    loss = SoftNearestNeighbour()(embeddings, labels, chosen)
    assert loss.item() == pytest.approx(expected)


def test_temperature_must_be_positive() -> None:
    with pytest.raises(ValueError, match="temperature"):
        SoftNearestNeighbour(temperature=0)
