"""SmoothAP against its definition, list by list, and against the true average precision."""

import math

import pytest
import torch
from pytorch_metric_learning import losses as pml

from criteria.smoothap import SmoothAP
from tests.batches import LABELS, batch, cosine


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def by_definition(
    x: list[list[float]], labels: list[int], temperature: float, include_query: bool
) -> float:
    n, losses = range(len(labels)), []
    for i in n:
        s = [cosine(x[i], y) for y in x]
        positives = [j for j in n if labels[j] == labels[i] and (include_query or j != i)]
        negatives = [j for j in n if labels[j] != labels[i]]
        precisions = []
        for j in positives:
            among = 1 + sum(sigmoid((s[k] - s[j]) / temperature) for k in positives if k != j)
            rank = among + sum(sigmoid((s[k] - s[j]) / temperature) for k in negatives)
            precisions.append(among / rank)
        if set(positives) - {i}:
            losses.append(1 - sum(precisions) / len(precisions))
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize("include_query", [False, True])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], include_query: bool) -> None:
    embeddings, targets = batch(labels)
    expected = by_definition(embeddings.tolist(), labels, 0.1, include_query)
    value = SmoothAP(temperature=0.1, include_query=include_query)(embeddings, targets).item()
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_is_the_average_precision_in_the_limit() -> None:
    """Positives at ranks 1 and 3 of the first anchor's list: AP = (1 + 2/3) / 2."""
    angles = torch.tensor([0.0, 0.1, 0.5, 0.3, 1.0], dtype=torch.float64)
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.tensor([0, 9, 9, 1, 2])
    first = {"references": embeddings[1:], "reference_labels": torch.tensor([0, 0, 1, 2])}
    loss = SmoothAP(temperature=1e-4)(embeddings[:1], labels[:1], **first)
    assert loss.item() == pytest.approx(1 - (1 + 2 / 3) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_equals_pytorch_metric_learning_if_sorted_by_class(seed: int) -> None:
    embeddings, labels = batch([0, 0, 0, 1, 1, 1, 2, 2, 2], seed=seed)
    x = embeddings.detach().float().requires_grad_()
    theirs = pml.SmoothAPLoss()(x, labels)
    ours = SmoothAP(include_query=True)(x, labels)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    slopes = [torch.autograd.grad(loss, x)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-4 * float(slopes[0].abs().max()))


def test_temperature_must_be_positive() -> None:
    with pytest.raises(ValueError, match="temperature"):
        SmoothAP(temperature=0)
