"""BatchHardMiner takes the extremes, found by looking at each pair."""

import pytest

from batch_mining.batch_hard import BatchHardMiner
from core.distance import Lp
from tests.batches import LABELS, batch, euclidean, listed


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_takes_the_farthest_positive_and_the_nearest_negative(labels: list[int]) -> None:
    embeddings, targets = batch(labels, dim=3)
    x = embeddings.tolist()
    expected = []
    for a, label in enumerate(labels):
        far = {j: euclidean(x[a], x[j]) for j in range(len(labels)) if j != a}
        positives = [j for j in far if labels[j] == label]
        negatives = [j for j in far if labels[j] != label]
        if positives and negatives:
            expected.append((a, max(positives, key=far.get), min(negatives, key=far.get)))
    triplets = BatchHardMiner()(embeddings, targets)
    assert listed(triplets) == expected


def test_another_distance_may_see_other_neighbours() -> None:
    """Sample 2 points the way of 0 but is far away; sample 3 is near, at a right angle."""
    embeddings, labels = batch([0, 0, 1, 1], dim=2)
    embeddings.data = embeddings.new_tensor([[1, 0], [1, 1], [9, 1], [0, 1]])
    assert BatchHardMiner()(embeddings, labels).negatives[0] == 2
    assert BatchHardMiner(Lp(normalize=False))(embeddings, labels).negatives[0] == 3
