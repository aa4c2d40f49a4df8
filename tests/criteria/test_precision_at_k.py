"""PrecisionAtK against its definition, list by list."""

import math

import pytest
import torch

from core.distance import Lp
from criteria.precision_at_k import PrecisionAtK
from tests.batches import LABELS, batch, unit


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], normalize: bool, k: int) -> None:
    embeddings, targets = batch(labels)
    x, n, losses = embeddings.tolist(), range(len(labels)), []
    x = [unit(row) for row in x] if normalize else x
    for i in n:
        d = [math.dist(x[i], y) for y in x]
        positives = [j for j in n if labels[j] == labels[i] and j != i]
        found = 0.0
        for j in positives:
            rank = sum(sigmoid((d[j] - d[z]) / 0.2) for z in n if z != i)
            found += sigmoid((k - rank) / 0.7)
        if positives:
            losses.append(1 - found / min(k, len(positives)))
    expected = sum(losses) / max(len(losses), 1)
    distance = Lp() if normalize else None
    value = PrecisionAtK(None, k, 0.7, 0.2, distance=distance)(embeddings, targets).item()
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("labels", [LABELS["balanced"], [0, 0, 0, 1, 1], [7, 7, 7]])
def test_with_the_query_it_is_that_of_open_metric_learning(labels: list[int]) -> None:
    """Their formula: the query at distance 0 is a positive, k + 1 places, all in one list."""
    embeddings, targets = batch(labels)
    x, n, total = embeddings.tolist(), range(len(labels)), 0.0
    for i in n:
        d = [math.dist(x[i], y) for y in x]
        positives = [j for j in n if labels[j] == labels[i]]
        ranks = [sum(sigmoid((d[j] - other) / 0.2) for other in d) for j in positives]
        precision = sum(sigmoid(3 - rank) for rank in ranks) / min(3, len(positives))
        total += 1 - precision
    criterion = PrecisionAtK(k=2, rank_temperature=0.2, include_query=True)
    value = criterion(embeddings, targets).item()
    assert value == pytest.approx(total / len(labels), rel=1e-6)


def test_is_the_precision_in_the_limit() -> None:
    """Positives at ranks 1 and 3: one of the first 2."""
    embeddings = torch.tensor([[0.0], [1.0], [3.0], [2.0], [4.0]], dtype=torch.float64)
    first = {"references": embeddings[1:], "reference_labels": torch.tensor([0, 0, 1, 2])}
    criterion = PrecisionAtK(k=2, rank_temperature=1e-3, k_temperature=1e-2)
    loss = criterion(embeddings[:1], torch.tensor([0]), **first)
    assert loss.item() == pytest.approx(1 - 1 / 2)


def test_bad_numbers_are_errors() -> None:
    with pytest.raises(ValueError, match="k must"):
        PrecisionAtK(k=0)
    with pytest.raises(ValueError, match="temperature"):
        PrecisionAtK(rank_temperature=0)
