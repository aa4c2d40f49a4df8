"""DistanceWeightedMiner draws in proportion to the inverse density of the paper."""

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import torch

from batch_mining.distance import DistanceWeightedMiner, log_density
from tests.batches import LABELS, all_triplets, batch, chi_square_p, euclidean, listed, unit


def odds_by_definition(distance: float, dim: int, lower: float, upper: float | None) -> float:
    if upper is not None and distance >= upper:
        return 0.0
    d = max(distance, lower)
    return d ** (2 - dim) * (1 - d * d / 4) ** ((3 - dim) / 2)


@pytest.mark.parametrize("upper", [1.4, None], ids=["paper", "Roth et al."])
@pytest.mark.parametrize("dim", [3, 4, 8])
def test_negatives_follow_the_inverse_density(dim: int, upper: float | None) -> None:
    labels = [0, 0, *[1] * 14]
    embeddings, targets = batch(labels, dim=dim, seed=3)
    x = embeddings.tolist()
    odds = [odds_by_definition(euclidean(x[0], x[j]), dim, 0.5, upper) for j in range(2, 16)]
    miner = DistanceWeightedMiner(0.5, upper)
    drawn = Counter(int(miner(embeddings, targets).negatives[0]) for _ in range(4000))
    probabilities = [value / sum(odds) for value in odds]
    assert chi_square_p([drawn[j] for j in range(2, 16)], probabilities) > 0.001
    if upper is not None:
        assert 0 in odds


def test_positives_are_uniform() -> None:
    embeddings, labels = batch([0, 0, 0, 0, 1], dim=4)
    miner = DistanceWeightedMiner()
    drawn = Counter(int(miner(embeddings, labels).positives[0]) for _ in range(1500))
    assert chi_square_p([drawn[j] for j in range(5)], [0, 1 / 3, 1 / 3, 1 / 3, 0]) > 0.001


def test_an_anchor_with_far_negatives_only_draws_them_uniformly() -> None:
    embeddings, labels = batch([0, 0, 1, 1], dim=8)
    embeddings.data = torch.eye(8, dtype=torch.float64)[[0, 0, 1, 1]]
    embeddings.data[2:, 0] = embeddings.new_tensor([-0.1, -3.0])  # far, and farther
    miner = DistanceWeightedMiner()
    drawn = Counter(int(miner(embeddings, labels).negatives[0]) for _ in range(1000))
    assert chi_square_p([drawn[2], drawn[3]], [0.5, 0.5]) > 0.001


def test_density_is_that_of_random_points_of_the_sphere() -> None:
    """The formula against simulated points, not against itself."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(4000, 6, dtype=torch.float64, generator=generator)
    distances = [euclidean(unit(p), [1.0, 0, 0, 0, 0, 0]) for p in points.tolist()]
    edges = [0.0, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0]
    grid = torch.linspace(1e-6, 2 - 1e-6, 20001, dtype=torch.float64)
    density = log_density(grid[None], dim=6)[0].exp()
    bins = list(pairwise(edges))
    observed = [sum(low <= d < high for d in distances) for low, high in bins]
    mass = [float(density[(grid >= low) & (grid < high)].sum()) for low, high in bins]
    assert chi_square_p(observed, [m / sum(mass) for m in mass]) > 0.001


def test_high_dimensions_and_antipodes_do_not_overflow() -> None:
    embeddings, labels = batch([0, 0, 1, 1], dim=2048)
    embeddings.data[2] = -embeddings.data[0]
    triplets = DistanceWeightedMiner(upper_cutoff=None)(embeddings.float(), labels)
    assert triplets.anchors.tolist() == [0, 1, 2, 3]
    assert triplets.negatives[0] == 2  # the rarest distance of all
    assert math.isfinite(float(log_density(torch.tensor([[2.0]]), 2048)))


@pytest.mark.parametrize("cutoffs", [(0.0, 1.4), (1.4, 0.5), (0.5, 2.1)])
def test_cutoffs_out_of_order_are_an_error(cutoffs: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="lower_cutoff and upper_cutoff"):
        DistanceWeightedMiner(*cutoffs)


@pytest.mark.parametrize("triplets_per_anchor", [3, "all_positives"])
def test_several_negatives_of_an_anchor_follow_the_inverse_density(
    triplets_per_anchor: Any,  # noqa: ANN401
) -> None:
    labels = [0, 0, 0, *[1] * 13]
    embeddings, targets = batch(labels, dim=4, seed=3)
    x = embeddings.tolist()
    odds = [odds_by_definition(euclidean(x[0], x[j]), 4, 0.5, 1.4) for j in range(3, 16)]
    miner = DistanceWeightedMiner(triplets_per_anchor=triplets_per_anchor)
    drawn: Counter[int] = Counter()
    for _ in range(1000):
        drawn.update(n for a, _, n in listed(miner(embeddings, targets)) if a == 0)
    probabilities = [value / sum(odds) for value in odds]
    assert chi_square_p([drawn[j] for j in range(3, 16)], probabilities) > 0.001
    assert 0 in odds


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_all_positives_are_those_of_each_anchor_once(labels: list[int]) -> None:
    miner = DistanceWeightedMiner(triplets_per_anchor="all_positives")
    found = listed(miner(*batch(labels)))
    complete = sorted({(a, p) for a, p, _ in all_triplets(labels)})
    assert sorted((a, p) for a, p, _ in found) == complete
    assert all(labels[n] != labels[a] for a, _, n in found)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_a_number_of_triplets_is_that_of_each_anchor(labels: list[int]) -> None:
    found = listed(DistanceWeightedMiner(triplets_per_anchor=4)(*batch(labels)))
    possible = all_triplets(labels)
    assert set(found) <= set(possible)
    assert Counter(a for a, *_ in found) == dict.fromkeys({a for a, *_ in possible}, 4)


def test_no_triplet_of_an_anchor_is_an_error() -> None:
    with pytest.raises(ValueError, match=r'^triplets_per_anchor must be "all_positives" or'):
        DistanceWeightedMiner(triplets_per_anchor=0)
