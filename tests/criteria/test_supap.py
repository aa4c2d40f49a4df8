"""SupAP against its definition, list by list and pair by pair."""

import math

import pytest
import torch

from core.reducer import Mean, NonZeroMean
from criteria.supap import SupAP
from tests.batches import LABELS, batch, cosine, negative_pairs, positive_pairs

T, SLOPE, REACH = 0.1, 20.0, 0.3


def height(x: float, offset: float | None) -> float:
    if x > REACH and offset is not None:
        return SLOPE * x + offset
    if x > REACH:
        return SLOPE * (x - REACH) + height(REACH, None)
    return 1 / (1 + math.exp(-x / T)) + (0.5 if x > 0 else 0)


def mean(values: list[float], of_nonzero: bool = False) -> float:
    kept = [value for value in values if value > 0] if of_nonzero else values
    return sum(kept) / max(len(kept), 1)


def list_losses(
    s: list[list[float]], labels: list[int], offset: float | None, include_query: bool
) -> list[float]:
    losses = []
    for i in range(len(labels)):
        positives = [j for a, j in positive_pairs(labels) if a == i]
        negatives = [j for a, j in negative_pairs(labels) if a == i]
        if positives and include_query:
            positives.append(i)
        precisions = []
        for j in positives:
            among = sum(s[i][k] >= s[i][j] for k in positives)
            before = sum(height(s[i][k] - s[i][j], offset) for k in negatives)
            precisions.append(among / (among + before))
        if positives:
            losses.append(1 - mean(precisions))
    return losses


@pytest.mark.parametrize("reducer", [Mean, NonZeroMean])
@pytest.mark.parametrize(("offset", "include_query"), [(None, False), (1.44, True)])
@pytest.mark.parametrize("balance", [0, 0.3])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(
    labels: list[int], balance: float, offset: float | None, include_query: bool, reducer: type
) -> None:
    embeddings, targets = batch(labels)
    s = [[cosine(x, y) for y in embeddings.tolist()] for x in embeddings.tolist()]
    pull = [max(0.0, 0.9 - s[i][j]) for i, j in positive_pairs(labels)]
    push = [max(0.0, s[i][j] - 0.2) for i, j in negative_pairs(labels)]
    nonzero = reducer is NonZeroMean
    expected = (1 - balance) * mean(list_losses(s, labels, offset, include_query))
    expected += balance * (mean(pull, nonzero) + mean(push, nonzero))
    criterion = SupAP(
        None, T, SLOPE, REACH, offset, 0.9, 0.2, balance, include_query, reducer=reducer()
    )
    value = criterion(embeddings, targets).item()
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_bounds_the_average_precision_from_above() -> None:
    """The true loss of the first list, positives at ranks 2 and 3, is 1 - (1/2 + 2/3) / 2."""
    angles = torch.tensor([0.0, 0.3, 0.5, 0.2, 1.0], dtype=torch.float64)
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)
    first = {"references": embeddings[1:], "reference_labels": torch.tensor([0, 0, 1, 2])}
    loss = SupAP(balance=0)(embeddings[:1], torch.tensor([0]), **first)
    assert 1 - (1 / 2 + 2 / 3) / 2 < loss.item() < 1


def test_ties_among_positives_share_the_later_rank() -> None:
    """Two equal positives, one negative far behind: both at rank 2 of 2, precision 1."""
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    loss = SupAP(balance=0)(embeddings, torch.tensor([0, 0, 0, 1]))
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_a_perfect_list_counts_for_every_reducer() -> None:
    """Of two lists one is perfect, and the other not."""
    embeddings = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double()
    lists = {
        "references": torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double(),
        "reference_labels": torch.tensor([0, 1]),
    }
    losses = [
        SupAP(balance=0, reducer=reducer)(embeddings, torch.tensor([0, 0]), **lists)
        for reducer in (Mean(), NonZeroMean())
    ]
    assert losses[0].item() > 0.4
    torch.testing.assert_close(*losses)


def test_bad_numbers_are_errors() -> None:
    with pytest.raises(ValueError, match="temperature"):
        SupAP(temperature=0)
    with pytest.raises(ValueError, match="balance"):
        SupAP(balance=1.5)
