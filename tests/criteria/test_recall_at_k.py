"""RecallAtK against its definition, list by list."""

import math

import pytest
import torch

from criteria.recall_at_k import RecallAtK
from tests.batches import LABELS, batch, cosine


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


@pytest.mark.parametrize("include_query", [False, True])
@pytest.mark.parametrize("attainable", [False, True])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(
    labels: list[int], attainable: bool, include_query: bool
) -> None:
    embeddings, targets = batch(labels)
    x, n, losses = embeddings.tolist(), range(len(labels)), []
    for i in n:
        s = [cosine(x[i], y) for y in x]
        positives = [j for j in n if labels[j] == labels[i] and j != i]
        listed = [j for j in n if include_query or j != i]
        recalls = []
        for k in (1, 3):
            found = 0.0
            for j in positives:
                rank = 1 + sum(sigmoid((s[z] - s[j]) / 0.1) for z in listed if z != j)
                found += sigmoid((k - rank) / 0.5)
            if positives:
                recalls.append(found / min(len(positives), k if attainable else len(positives)))
        if positives:
            losses.append(1 - sum(recalls) / 2)
    expected = sum(losses) / max(len(losses), 1)
    criterion = RecallAtK(None, (1, 3), 0.1, 0.5, attainable, include_query)
    value = criterion(embeddings, targets).item()
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_is_the_recall_in_the_limit() -> None:
    """Positives at ranks 1 and 3: half of them are among the first 2."""
    angles = torch.tensor([0.0, 0.1, 0.5, 0.3, 1.0], dtype=torch.float64)
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)
    first = {"references": embeddings[1:], "reference_labels": torch.tensor([0, 0, 1, 2])}
    criterion = RecallAtK(k=[2], rank_temperature=1e-4, k_temperature=1e-2)
    loss = criterion(embeddings[:1], torch.tensor([0]), **first)
    assert loss.item() == pytest.approx(1 - 1 / 2)


def test_bad_numbers_are_errors() -> None:
    with pytest.raises(ValueError, match="k must"):
        RecallAtK(k=[])
    with pytest.raises(ValueError, match="k must"):
        RecallAtK(k=[0, 1])
    with pytest.raises(ValueError, match="temperature"):
        RecallAtK(k_temperature=0)
