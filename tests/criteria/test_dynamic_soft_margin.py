"""DynamicSoftMargin against its definition, triplet by triplet and batch by batch."""

import math

import pytest
import torch
from pytorch_metric_learning import losses as pml

from core.distance import DotProduct, Lp
from core.tuples import all_pairs, to_triplets
from criteria.dynamic_soft_margin import DynamicSoftMargin
from tests.batches import LABELS, all_triplets, batch, euclidean, negative_pairs, positive_pairs

BINS = 21


class ByDefinition:
    """The histogram and the loss of one batch after another."""

    def __init__(self, momentum: float, widest: float = 2) -> None:
        self.momentum, self.shares, self.widest = momentum, [0.0] * BINS, widest

    def __call__(self, gaps: list[float]) -> float:
        if not gaps:
            return 0.0
        width, newest = 2 * self.widest / (BINS - 1), [0.0] * BINS
        for gap in gaps:
            lower = math.floor((gap + self.widest) / width)
            upper_share = (gap + self.widest) / width - lower
            newest[lower] += (1 - upper_share) / len(gaps)
            newest[min(lower + 1, BINS - 1)] += upper_share / len(gaps)
        keep = 1 - self.momentum if any(self.shares) else 0.0
        self.shares = [
            keep * old + (1 - keep) * new for old, new in zip(self.shares, newest, strict=True)
        ]
        nodes = [math.floor((gap + self.widest) / width) for gap in gaps]
        easier = [sum(self.shares[: node + 1]) for node in nodes]
        return sum(c * gap for c, gap in zip(easier, gaps, strict=True)) / len(gaps)


def hardest_gaps(x: list[list[float]], labels: list[int]) -> list[float]:
    gaps = []
    for a, p in positive_pairs(labels):
        negatives = [euclidean(x[i], x[n]) for i, n in negative_pairs(labels) if i in (a, p)]
        if negatives:
            gaps.append(euclidean(x[a], x[p]) - min(negatives))
    return gaps


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_values_of_three_batches_equal_the_definition(labels: list[int], listed: bool) -> None:
    criterion = DynamicSoftMargin(bins=BINS, momentum=0.3).double()
    definition = ByDefinition(momentum=0.3)
    for seed in range(3):
        embeddings, targets = batch(labels, seed=seed)
        x = embeddings.tolist()
        if listed:
            gaps = [
                euclidean(x[a], x[p]) - euclidean(x[a], x[n]) for a, p, n in all_triplets(labels)
            ]
            value = criterion(embeddings, targets, to_triplets(all_pairs(targets)))
        else:
            gaps = hardest_gaps(x, labels)
            value = criterion(embeddings, targets)
        assert value.item() == pytest.approx(definition(gaps), rel=1e-9, abs=1e-12)


def test_the_histogram_covers_the_range_of_another_distance() -> None:
    """Squared distances of unit vectors differ by -4 to 4."""
    labels = LABELS["unbalanced"]
    criterion = DynamicSoftMargin(bins=BINS, momentum=0.3, distance=Lp(power=2)).double()
    definition = ByDefinition(momentum=0.3, widest=4)
    for seed in range(2):
        embeddings, targets = batch(labels, seed=seed)
        x = embeddings.tolist()
        gaps = [
            euclidean(x[a], x[p]) ** 2 - euclidean(x[a], x[n]) ** 2
            for a, p, n in all_triplets(labels)
        ]
        value = criterion(embeddings, targets, to_triplets(all_pairs(targets)))
        assert value.item() == pytest.approx(definition(gaps), rel=1e-9)
    assert max(map(abs, gaps)) > 2


def test_a_distance_without_a_range_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^distance must be bounded.*DotProduct\(\)$"):
        DynamicSoftMargin(distance=DotProduct())


def test_only_training_changes_the_histogram() -> None:
    criterion = DynamicSoftMargin()
    criterion(*batch(LABELS["balanced"], seed=0))
    before = criterion.histogram.clone()
    criterion.eval()(*batch(LABELS["balanced"], seed=1))
    assert criterion.histogram.equal(before)
    criterion.train()(*batch(LABELS["all different"], seed=1))
    assert criterion.histogram.equal(before)
    criterion(*batch(LABELS["balanced"], seed=1))
    assert not criterion.histogram.equal(before)


def test_outside_training_momentum_plays_no_part() -> None:
    values = []
    for momentum in (0.1, 1.0):
        criterion = DynamicSoftMargin(momentum=momentum)
        criterion(*batch(LABELS["balanced"], seed=0))
        values.append(criterion.eval()(*batch(LABELS["balanced"], seed=1)))
    torch.testing.assert_close(*values)


def test_a_first_batch_without_training_speaks_for_itself() -> None:
    embeddings, labels = batch(LABELS["balanced"])
    value = DynamicSoftMargin().double()(embeddings, labels)
    torch.testing.assert_close(DynamicSoftMargin().double().eval()(embeddings, labels), value)


def test_value_on_triplets_is_that_of_pytorch_metric_learning() -> None:
    """Whose gradient takes the histogram for differentiable."""
    embeddings, labels = batch(LABELS["unbalanced"])
    triplets = to_triplets(all_pairs(labels))
    theirs = pml.DynamicSoftMarginLoss(num_bins=10)(embeddings, labels, triplets[:3])
    ours = DynamicSoftMargin(bins=11).double()(embeddings, labels, triplets)
    torch.testing.assert_close(ours, theirs.double())


def test_the_widest_gaps_are_counted() -> None:
    """Antipodal positives and a negative on top of the anchor: gaps of 2, all weight on it."""
    embeddings = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
    loss = DynamicSoftMargin()(embeddings, torch.tensor([0, 0, 1]))
    assert loss.item() == pytest.approx(2.0, rel=1e-3)


def test_bad_numbers_are_errors() -> None:
    with pytest.raises(ValueError, match="bins"):
        DynamicSoftMargin(bins=1)
    with pytest.raises(ValueError, match="momentum"):
        DynamicSoftMargin(momentum=0)
