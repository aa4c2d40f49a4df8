"""AngularMiner against the angle of each triplet, from its sides."""

import math

import pytest

import core.kernels.triplets_where
from batch_mining.angular import AngularMiner
from core.distance import Cosine, Lp
from core.types import Distance
from tests.batches import LABELS, all_triplets, batch, listed, unit


def angle(a: list[float], p: list[float], n: list[float]) -> float:
    """Degrees."""
    centre = [(x + y) / 2 for x, y in zip(a, p, strict=True)]
    return math.degrees(math.atan2(math.dist(a, p), 2 * math.dist(n, centre)))


@pytest.mark.parametrize("block", [50, 2**22])
@pytest.mark.parametrize("degrees", [20, 35, 60])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_lists_exactly_the_wide_triplets(
    labels: list[int], degrees: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.kernels.triplets_where, "BLOCK", block)
    embeddings, targets = batch(labels, dim=3)
    x = [unit(row) for row in embeddings.tolist()]
    triplets = AngularMiner(degrees)(embeddings, targets)
    wide = [t for t in all_triplets(labels) if angle(*(x[i] for i in t)) > degrees]
    assert sorted(listed(triplets)) == sorted(wide)


def test_angles_of_embeddings_as_they_are() -> None:
    embeddings, targets = batch(LABELS["unbalanced"], dim=3)
    x = embeddings.tolist()
    miner = AngularMiner(35, distance=Lp(power=2, normalize=False))
    wide = [t for t in all_triplets(LABELS["unbalanced"]) if angle(*(x[i] for i in t)) > 35]
    assert sorted(listed(miner(embeddings, targets))) == sorted(wide)
    of_unit_vectors = AngularMiner(35)(embeddings, targets)
    assert sorted(listed(of_unit_vectors)) != sorted(wide)


@pytest.mark.parametrize("distance", [Cosine(), Lp(), Lp(p=1, power=2)])
def test_sides_that_are_not_euclidean_are_an_error(distance: Distance) -> None:
    with pytest.raises(ValueError, match=r"^distance must be squared Euclidean"):
        AngularMiner(distance=distance)


def test_a_negative_beside_the_centre_is_wide_and_an_opposite_one_is_not() -> None:
    """On the unit circle: anchor at 0, positive at 1 rad, negatives at 0.5 and π + 0.5 rad."""
    embeddings, labels = batch([0, 0, 1, 1], dim=2)
    angles = embeddings.new_tensor([0.0, 1.0, 0.5, math.pi + 0.5])
    embeddings.data = angles[:, None].sub(embeddings.new_tensor([0.0, math.pi / 2])).cos()
    anchors, _, negatives, _ = AngularMiner(20)(embeddings, labels)
    assert negatives[anchors < 2].tolist() == [2, 2]


def test_a_positive_in_the_place_of_its_anchor_makes_no_triplet() -> None:
    embeddings, labels = batch([0, 0, 1, 1], dim=2)
    embeddings.data[1] = embeddings.data[0]
    assert AngularMiner(1e-3)(embeddings, labels).anchors.min() == 2


@pytest.mark.parametrize("numbers", [{"angle": 0.0}, {"angle": 90.0}, {"max_triplets": 0}])
def test_impossible_settings_are_an_error(numbers: dict[str, object]) -> None:
    (name,) = numbers
    with pytest.raises(ValueError, match=f"^{name} must"):
        AngularMiner(**numbers)
