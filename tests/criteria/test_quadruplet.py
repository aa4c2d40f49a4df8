"""Quadruplet against its definition, quadruplet by quadruplet."""

from itertools import product

import pytest
import torch

import core.kernels.quadruplet_hinges
from core.distance import Lp
from core.kernels.quadruplet_hinges import quadruplet_hinges
from core.random import SeededRandom
from core.reducer import Mean, NonZeroMean, Sum
from core.tuples import all_pairs, to_triplets
from core.types import Pairs, Triplets
from criteria.quadruplet import Quadruplet, draw_of_third_class
from tests.batches import (
    LABELS,
    all_triplets,
    batch,
    chi_square_p,
    euclidean,
    negative_pairs,
    positive_pairs,
)

AVERAGES = {
    Mean: lambda losses: sum(losses) / max(len(losses), 1),
    NonZeroMean: lambda losses: sum(losses) / max(sum(loss > 0 for loss in losses), 1),
    Sum: sum,
}
SIX_CLASSES = [0, 1, 2, 3, 4, 5, 0, 1, 2, 0]


both_ways = pytest.mark.parametrize("at_hand", [True, False], ids=["looked up", "sorted"])


def mean(values: list[float]) -> float:
    return sum(values) / max(len(values), 1)


def by_definition(
    x: list[list[float]], labels: list[int], margins: tuple[float, float], power: float
) -> tuple[list[float], list[float]]:
    def d(i: int, j: int) -> float:
        return euclidean(x[i], x[j]) ** power

    triplets = [max(0.0, d(a, p) - d(a, n) + margins[0]) for a, p, n in all_triplets(labels)]
    quadruplets = [
        max(0.0, d(a, p) - d(k, n) + margins[1])
        for (a, p), (k, n) in product(positive_pairs(labels), negative_pairs(labels))
        if labels[a] not in (labels[k], labels[n])
    ]
    return triplets, quadruplets


@pytest.mark.parametrize("reducer", AVERAGES)
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("margins", [(0.2, 0.2), (0.0, 5.0)])
@pytest.mark.parametrize("labels", [*LABELS.values(), SIX_CLASSES])
@both_ways
def test_value_over_all_quadruplets_equals_the_definition(
    labels: list[int],
    margins: tuple[float, float],
    power: float,
    reducer: type,
    at_hand: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(core.kernels.quadruplet_hinges, "can_read_without_sync", lambda _: at_hand)
    embeddings, targets = batch(labels)
    terms = by_definition(embeddings.tolist(), labels, margins, power)
    criterion = Quadruplet(None, *margins, False, distance=Lp(power=power), reducer=reducer())
    expected = sum(map(AVERAGES[reducer], terms))
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("labels", [*LABELS.values(), SIX_CLASSES])
def test_margins_of_the_paper_adapt_to_the_gap_between_the_means(labels: list[int]) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    far, near = (
        mean([euclidean(x[i], x[j]) ** 2 for i, j in pairs(labels)])
        for pairs in (negative_pairs, positive_pairs)
    )
    expected = sum(map(mean, by_definition(x, labels, (far - near, 0.5 * (far - near)), 2)))
    assert Quadruplet()(embeddings, targets).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_gap_is_a_constant() -> None:
    embeddings, targets = batch(SIX_CLASSES)
    far, near = (
        mean([euclidean(embeddings[i].tolist(), embeddings[j].tolist()) ** 2 for i, j in pairs])
        for pairs in (negative_pairs(SIX_CLASSES), positive_pairs(SIX_CLASSES))
    )
    fixed = Quadruplet(None, far - near, 0.5 * (far - near), adaptive=False)
    gradients = [
        torch.autograd.grad(criterion(embeddings, targets), embeddings)[0]
        for criterion in (Quadruplet(), fixed)
    ]
    torch.testing.assert_close(gradients[0], gradients[1])


@both_ways
@pytest.mark.parametrize("num_references", [7, 5], ids=["more references", "as many"])
def test_each_hinge_is_collected_at_its_anchor(
    num_references: int, at_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given an arbitrary choice of pairs."""
    monkeypatch.setattr(core.kernels.quadruplet_hinges, "can_read_without_sync", lambda _: at_hand)
    labels, others = [0, 0, 1, 1, 2], [0, 1, 2, 0, 3, 2, 0][:num_references]
    embeddings, targets = batch(labels)
    references, reference_labels = batch(others, seed=1)
    kept = torch.rand(2, 5, num_references, generator=torch.Generator().manual_seed(0)) < 0.7
    same = targets[:, None] == reference_labels
    pairs = Pairs(positives=same & kept[0], negatives=~same & kept[1])
    x, y = embeddings.tolist(), references.tolist()
    expected = [[0.0, 0, 0] for _ in labels]
    for (a, p), (k, n) in product(pairs.positives.nonzero().tolist(), pairs.negatives.nonzero()):
        if labels[a] not in (labels[k], others[n]):
            hinge = max(0.0, euclidean(x[a], y[p]) - euclidean(x[k], y[n]) + 0.3)
            entry = expected[a]
            entry[0], entry[1], entry[2] = entry[0] + hinge, entry[1] + 1, entry[2] + (hinge > 0)
    seen = {}
    criterion = Quadruplet(None, 0.2, 0.3, False, distance=Lp(), reducer=lambda _, **t: seen | t)
    against = {"references": references, "reference_labels": reference_labels}
    got = torch.stack(criterion(embeddings, targets, pairs, **against)["quadruplets"][:3], dim=1)
    torch.testing.assert_close(got, torch.tensor(expected).double())


@both_ways
def test_symmetric_distances_have_a_slope_each(
    at_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finite differences leave the symmetry."""
    monkeypatch.setattr(core.kernels.quadruplet_hinges, "can_read_without_sync", lambda _: at_hand)
    embeddings, labels = batch(SIX_CLASSES)
    distances = Lp(power=2)(embeddings).detach().requires_grad_()
    pairs = all_pairs(labels)
    assert torch.autograd.gradcheck(
        lambda d: quadruplet_hinges(d, pairs, 0.3, labels, labels).losses, distances
    )


def test_many_samples_in_float32_keep_their_digits() -> None:
    embeddings, labels = batch(list(range(40)) * 3, dim=16)
    exact = Quadruplet(None, 0.2, 0.2, False)(embeddings, labels)
    value = Quadruplet(None, 0.2, 0.2, False)(embeddings.float(), labels)
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=0)


def test_drawn_quadruplets_are_one_for_each_triplet() -> None:
    """With four samples of three classes, k can only be the one that is left."""
    embeddings, targets = batch([0, 0, 1, 2])
    x = embeddings.tolist()
    triplets = Triplets(*torch.tensor([[0, 1, 2], [1, 0, 3]]).T)
    criterion = Quadruplet(None, 0.9, 1.2, False, seed=0, distance=Lp())
    d_ap = euclidean(x[0], x[1])
    hinges = [d_ap - euclidean(x[0], x[2]) + 0.9, d_ap - euclidean(x[1], x[3]) + 0.9]
    assert min(hinges) > 0
    expected = mean(hinges) + d_ap - euclidean(x[2], x[3]) + 1.2
    assert criterion(embeddings, targets, triplets).item() == pytest.approx(expected, rel=1e-9)
    against = {"references": embeddings, "reference_labels": targets}
    value = criterion(embeddings, targets, triplets, **against)
    assert value.item() == pytest.approx(expected, rel=1e-9)


def test_without_a_third_class_there_is_nothing_to_draw() -> None:
    embeddings, targets = batch([0, 0, 1, 1])
    triplets = to_triplets(all_pairs(targets))
    drawn, crossed = (Quadruplet(seed=seed)(embeddings, targets, triplets) for seed in (0, None))
    torch.testing.assert_close(drawn, crossed)


@pytest.mark.parametrize(("first", "second"), [(3, 7), (7, 3), (1, 9), (4, 5)])
def test_the_drawn_are_of_a_third_class_all_equally_likely(first: int, second: int) -> None:
    others = torch.tensor([7, 3, 1, 7, 9, 3, 3, 1, 8])
    labels = torch.tensor([[first], [second]]).expand(2, 4000)
    drawn, exists = draw_of_third_class(*labels, others, SeededRandom(seed=0))
    assert exists.all()
    allowed = [label not in (first, second) for label in others.tolist()]
    observed = drawn.bincount(minlength=len(others)).tolist()
    assert chi_square_p(observed, [a / sum(allowed) for a in allowed]) > 1e-3
