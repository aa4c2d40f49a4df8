"""RhoDistanceMiner switches as often, and into what, as it says."""

import pytest
import torch

from batch_mining.distance import DistanceWeightedMiner
from batch_mining.rho_distance import RhoDistanceMiner
from tests.batches import batch, chi_square_p, listed

LABELS = [0, 1, 2] * 4


def test_without_switches_it_is_distance_weighted() -> None:
    embeddings, labels = batch(LABELS)
    ours, theirs = RhoDistanceMiner(p_switch=0, seed=3), DistanceWeightedMiner(seed=3)
    assert listed(ours(embeddings, labels)) == listed(theirs(embeddings, labels))


@pytest.mark.parametrize("switch", ["negative", "both"])
def test_switches_with_the_stated_probability(switch: str) -> None:
    embeddings, labels = batch(LABELS)
    miner = RhoDistanceMiner(p_switch=0.3, switch=switch)
    switched = 0
    for _ in range(200):
        anchors, _, negatives, _ = miner(embeddings, labels)
        switched += int((labels[negatives] == labels[anchors]).sum())
    total = 200 * len(LABELS)
    assert chi_square_p([switched, total - switched], [0.3, 0.7]) > 0.001


def test_paper_form_is_two_positives() -> None:
    embeddings, labels = batch(LABELS)
    anchors, positives, negatives, _ = RhoDistanceMiner(p_switch=1)(embeddings, labels)
    assert labels[negatives].equal(labels[anchors])
    assert (negatives != anchors).all()
    assert (negatives != positives).all()
    assert (positives != anchors).all()


def test_paper_form_at_two_samples_per_class_is_the_one_positive_twice() -> None:
    embeddings, labels = batch([0, 0, 1, 1])
    anchors, positives, negatives, _ = RhoDistanceMiner(p_switch=1)(embeddings, labels)
    assert negatives.equal(positives)
    assert (negatives != anchors).all()


def test_authors_form_is_the_anchor_itself_and_a_positive() -> None:
    embeddings, labels = batch(LABELS)
    anchors, positives, negatives, _ = RhoDistanceMiner(1, "both")(embeddings, labels)
    assert positives.equal(anchors)
    assert labels[negatives].equal(labels[anchors])
    assert (negatives != anchors).all()
    with pytest.raises(ValueError, match="references must be None"):
        RhoDistanceMiner(1, "both")(embeddings, labels, embeddings, labels)


@pytest.mark.parametrize("numbers", [{"p_switch": 1.5}, {"switch": "positive"}])
def test_impossible_settings_are_an_error(numbers: dict[str, object]) -> None:
    (name,) = numbers
    with pytest.raises(ValueError, match=f"^{name} must"):
        RhoDistanceMiner(**numbers)


def test_switched_negatives_are_uniform_among_the_others() -> None:
    embeddings, labels = batch([0] * 4 + [1] * 2)
    miner = RhoDistanceMiner(p_switch=1)
    counts = torch.zeros(6, dtype=torch.long)
    for _ in range(1500):
        counts[miner(embeddings, labels).negatives[0]] += 1
    assert chi_square_p(counts.tolist(), [0, 1 / 3, 1 / 3, 1 / 3, 0, 0]) > 0.001
