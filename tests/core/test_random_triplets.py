"""Random triplets of each anchor against plain enumeration."""

from collections import Counter

import pytest

from core.random_triplets import RandomTriplets, miner_or_random
from tests.batches import LABELS, all_triplets, batch, chi_square_p, listed


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_each_anchor_with_a_triplet_has_as_many_as_asked_for(labels: list[int]) -> None:
    found = listed(RandomTriplets(5, seed=0)(*batch(labels)))
    possible = all_triplets(labels)
    assert set(found) <= set(possible)
    assert Counter(a for a, *_ in found) == dict.fromkeys({a for a, *_ in possible}, 5)


def test_all_triplets_of_an_anchor_are_equally_likely() -> None:
    embeddings, labels = batch(LABELS["unbalanced"])
    found = Counter(listed(RandomTriplets(3000, seed=0)(embeddings, labels)))
    for anchor in (0, 1):
        counts = [found[t] for t in all_triplets(LABELS["unbalanced"]) if t[0] == anchor]
        assert chi_square_p(counts, [1 / len(counts)] * len(counts)) > 0.001


def test_references_take_the_place_of_the_batch() -> None:
    """A reference with the index of the anchor is another sample."""
    embeddings, labels = batch([0, 1])
    references, reference_labels = batch([0, 0, 1], seed=1)
    triplets = RandomTriplets(50, seed=0)(embeddings, labels, references, reference_labels)
    expected = {(0, 0, 2), (0, 1, 2), (1, 2, 0), (1, 2, 1)}
    assert set(listed(triplets)) == expected


def test_a_miner_takes_their_place() -> None:
    miner = RandomTriplets(2, seed=0)
    assert miner_or_random(miner, 3, seed=0) is miner
    assert miner_or_random(None, "all", seed=0) is None
    assert isinstance(miner_or_random(None, 3, seed=0), RandomTriplets)
    with pytest.raises(ValueError, match=r'^triplets_per_anchor must be "all" or at least 1'):
        miner_or_random(None, 0, seed=0)
