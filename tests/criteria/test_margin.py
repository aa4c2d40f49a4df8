"""Margin against its definition, pair by pair."""

import pytest
import torch
from pytorch_metric_learning.losses import MarginLoss

from core.random_triplets import RandomTriplets
from core.tuples import all_pairs, drop_invalid
from core.types import Triplets
from criteria.margin import Margin
from tests.batches import LABELS, batch, euclidean, negative_pairs, positive_pairs

BETAS = [1.2, 0.9, 1.3, 1.0, 1.1, 1.4]


def by_definition(
    x: list[list[float]],
    labels: list[int],
    betas: list[float],
    nu: float,
    margin: float = 0.2,
) -> float:
    total, active = 0.0, 0
    for i, j in positive_pairs(labels):
        hinge = max(0.0, euclidean(x[i], x[j]) - betas[labels[i]] + margin)
        total, active = total + hinge + nu * betas[labels[i]], active + (hinge > 0)
    for i, j in negative_pairs(labels):
        hinge = max(0.0, betas[labels[i]] - euclidean(x[i], x[j]) + margin)
        total, active = total + hinge + nu * betas[labels[i]], active + (hinge > 0)
    return total / max(active, 1)


@pytest.mark.parametrize("nu", [0.0, 0.3])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], nu: float) -> None:
    embeddings, targets = batch(labels)
    criterion = Margin(num_classes=6, nu=nu).double()
    criterion.beta.data = torch.tensor(BETAS, dtype=torch.float64)
    expected = by_definition(embeddings.tolist(), labels, BETAS, nu)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_one_beta_serves_all_classes() -> None:
    embeddings, targets = batch(LABELS["unbalanced"])
    shared = Margin(beta=0.9).double()(embeddings, targets + 1000)
    torch.testing.assert_close(
        shared, Margin(beta=0.9, num_classes=6).double()(embeddings, targets)
    )


@pytest.mark.parametrize("nu", [0.0, 0.3])
def test_authors_form_is_half_the_nu(nu: float) -> None:
    """pytorch-metric-learning adds ν β once per triplet, as the authors; here once per pair."""
    embeddings, targets = batch(LABELS["balanced"])
    triplets = Triplets(*torch.tensor([[0, 1, 2], [3, 2, 7], [4, 5, 1], [6, 7, 0]]).T)
    numbers = {"margin": 0.2, "beta": 0.8, "num_classes": 6, "learn_beta": True}
    theirs = MarginLoss(nu=nu, **numbers)(embeddings, targets, triplets[:3])
    ours = Margin(nu=nu / 2, **numbers).double()(embeddings, targets, triplets)
    torch.testing.assert_close(ours.float(), theirs.float())


def test_beta_learns_only_if_asked() -> None:
    embeddings, targets = batch(LABELS["balanced"])
    learned, fixed = Margin(num_classes=6), Margin(num_classes=6, learn_beta=False)
    for criterion in (learned, fixed):
        criterion.double()(embeddings, targets).backward()
    assert learned.beta.grad is not None
    assert learned.beta.grad[:4].ne(0).all()
    assert fixed.beta.grad is None


def test_random_triplets_give_their_pairs() -> None:
    """Of 100 triplets of each anchor, with 6 negatives, none is missing; of one, most are."""
    embeddings, targets = batch(LABELS["balanced"])
    draws = [Margin(triplets_per_anchor=k, seed=3).double() for k in (1, 100)]
    few, many = (criterion(embeddings, targets) for criterion in draws)
    torch.testing.assert_close(many, Margin().double()(embeddings, targets))
    assert few != many
    triplets = drop_invalid(RandomTriplets(1, seed=3)(embeddings, targets))
    torch.testing.assert_close(few, Margin().double()(embeddings, targets, triplets))
    given = Margin(triplets_per_anchor=1).double()(embeddings, targets, all_pairs(targets))
    torch.testing.assert_close(given, many)
