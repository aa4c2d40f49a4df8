"""TripletMargin against its definition, triplet by triplet."""

import pytest
import torch

from core.distance import Lp
from core.reducer import Mean, NonZeroMean, Sum
from core.tuples import to_triplets
from core.types import Pairs
from criteria.triplet import TripletMargin
from tests.batches import LABELS, all_triplets, batch, euclidean

AVERAGES = {
    Mean: lambda losses: sum(losses) / max(len(losses), 1),
    NonZeroMean: lambda losses: sum(losses) / max(sum(loss > 0 for loss in losses), 1),
    Sum: sum,
}


def hinges_by_definition(
    x: list[list[float]], labels: list[int], margin: float, power: float
) -> list[float]:
    return [
        max(0.0, euclidean(x[a], x[p]) ** power - euclidean(x[a], x[n]) ** power + margin)
        for a, p, n in all_triplets(labels)
    ]


@pytest.mark.parametrize("reducer", AVERAGES)
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("margin", [0.0, 0.2, 5.0])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_over_all_triplets_equals_the_definition(
    labels: list[int], margin: float, power: float, reducer: type
) -> None:
    embeddings, targets = batch(labels)
    criterion = TripletMargin(margin=margin, distance=Lp(power=power), reducer=reducer())
    hinges = hinges_by_definition(embeddings.tolist(), labels, margin, power)
    expected = AVERAGES[reducer](hinges)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("reducer", AVERAGES)
def test_listed_and_crossed_triplets_agree(reducer: type) -> None:
    """Value and gradient, for an arbitrary choice of pairs among more references than anchors."""
    embeddings, labels = batch([0, 0, 1, 1, 2])
    references, reference_labels = batch([0, 1, 2, 0, 1, 2, 0], seed=1)
    chosen = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0)) < 0.7
    same = labels[:, None] == reference_labels
    pairs = Pairs(positives=same & chosen[0], negatives=~same & chosen[1])
    criterion = TripletMargin(reducer=reducer())
    values, gradients = [], []
    for tuples in (pairs, to_triplets(pairs)):
        embeddings.grad = references.grad = None
        value = criterion(
            embeddings, labels, tuples, references=references, reference_labels=reference_labels
        )
        value.backward()
        values.append(value)
        gradients.append((embeddings.grad, references.grad))
    torch.testing.assert_close(values[0], values[1])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_many_samples_in_float32_keep_their_digits() -> None:
    """A sum of differences of running sums could lose them."""
    embeddings, labels = batch(list(range(150)) * 4, dim=16)
    exact = TripletMargin()(embeddings, labels)
    torch.testing.assert_close(
        TripletMargin()(embeddings.float(), labels).double(), exact, rtol=1e-5, atol=0
    )
