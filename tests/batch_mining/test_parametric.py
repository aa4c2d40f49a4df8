"""ParametricMiner draws with the odds of the bin that a distance falls into."""

import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from batch_mining.parametric import ParametricMiner
from core.distance import DotProduct, Lp
from tests.batches import batch, chi_square_p

INTERVALS = {
    "uniform": (0.1, 1.4),
    "hards": (0.1, 0.5),
    "semihards": (0.3, 0.7),
    "veryhards": (0.1, 0.3),
}


def at_distances(*distances: float) -> tuple[Tensor, Tensor]:
    """Anchor and positive in one place of the unit circle, negatives at the given distances."""
    angles = [0.0, 0.0, *(2 * math.asin(d / 2) for d in distances)]
    embeddings = torch.tensor([[math.cos(a), math.sin(a)] for a in angles], dtype=torch.float64)
    return embeddings, torch.tensor([0, 0, *[1] * len(distances)])


def drawn_negatives(miner: ParametricMiner, embeddings: Tensor, labels: Tensor) -> list[int]:
    drawn = Counter(int(miner(embeddings, labels).negatives[0]) - 2 for _ in range(1500))
    return [drawn[j] for j in range(len(labels) - 2)]


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("distribution", INTERVALS)
def test_negatives_of_the_favoured_distances_are_equally_likely(
    distribution: str, clip: bool
) -> None:
    distances = (0.05, 0.15, 0.2, 0.4, 0.55, 0.6, 0.9, 1.2, 1.5)
    miner = ParametricMiner(distribution, clip=clip)
    low, high = INTERVALS[distribution]
    counted = [min(max(d, 0.1), 1.4) if clip else d for d in distances]
    favoured = [float(low <= d <= high) for d in counted]
    counts = drawn_negatives(miner, *at_distances(*distances))
    assert chi_square_p(counts, [f / sum(favoured) for f in favoured]) > 0.001


def test_odds_belong_to_bins() -> None:
    """Bins [0, .4), [.4, .8), [.8, 1.2) with odds 1 : 2 : 5."""
    miner = ParametricMiner("uniform", num_bins=3, limits=(0.0, 1.2))
    miner.log_odds.copy_(torch.tensor([1.0, 2.0, 5.0]).log())
    counts = drawn_negatives(miner, *at_distances(0.1, 0.39, 0.41, 0.79, 0.81, 1.19, 1.3))
    assert chi_square_p(counts, [p / 16 for p in (1, 1, 2, 2, 5, 5, 0)]) > 0.001


def test_bins_are_in_units_of_the_distance() -> None:
    """Squared distances of 0.81, 1.69 and 3.24; minus the dot product is -cos and ascends alike."""
    embeddings, labels = at_distances(0.3, 0.9, 1.3, 1.8)
    squared = ParametricMiner("uniform", num_bins=2, limits=(0.5, 4.0), distance=Lp(power=2))
    squared.log_odds.copy_(torch.tensor([1.0, 6.0]).log())
    assert chi_square_p(drawn_negatives(squared, embeddings, labels), [0, 1 / 8, 1 / 8, 6 / 8]) > (
        0.001
    )
    opposite = ParametricMiner("hards", num_bins=4, limits=(-1.0, 1.0), distance=DotProduct())
    counts = drawn_negatives(opposite, embeddings, labels)  # -0.955, -0.595, -0.155, 0.62
    assert chi_square_p(counts, [1 / 3, 1 / 3, 1 / 3, 0]) > 0.001


def test_without_a_favoured_negative_it_draws_another_within_the_limits() -> None:
    miner = ParametricMiner("semihards")
    counts = drawn_negatives(miner, *at_distances(0.05, 0.2, 1.0, 1.6))
    assert chi_square_p(counts, [0, 0.5, 0.5, 0]) > 0.001


def test_with_none_within_the_limits_it_draws_any() -> None:
    counts = drawn_negatives(ParametricMiner("hards"), *at_distances(0.05, 1.5, 1.9))
    assert chi_square_p(counts, [1 / 3] * 3) > 0.001


def test_the_odds_travel_with_the_state() -> None:
    saved, restored = ParametricMiner("hards"), ParametricMiner("uniform")
    restored.load_state_dict(saved.state_dict())
    assert restored.log_odds.equal(saved.log_odds)


def test_positives_are_uniform() -> None:
    embeddings, labels = batch([0, 0, 0, 0, 1], dim=4)
    miner = ParametricMiner()
    drawn = Counter(int(miner(embeddings, labels).positives[0]) for _ in range(1500))
    assert chi_square_p([drawn[j] for j in range(5)], [0, 1 / 3, 1 / 3, 1 / 3, 0]) > 0.001


@pytest.mark.parametrize(
    "numbers", [{"distribution": "easy"}, {"num_bins": 0}, {"limits": (1.4, 0.1)}]
)
def test_impossible_settings_are_an_error(numbers: dict[str, object]) -> None:
    (name,) = numbers
    with pytest.raises(ValueError, match=f"^{name} must"):
        ParametricMiner(**numbers)
