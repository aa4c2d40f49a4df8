"""NHardMiner against sorted lists of distances."""

import pytest

from batch_mining.batch_hard import BatchHardMiner
from batch_mining.n_hard import NHardMiner
from core.tuples import to_triplets
from tests.batches import LABELS, batch, euclidean, listed


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("positives", [1, 2, [2, 3], 100])
@pytest.mark.parametrize("negatives", [1, 3, [2, 4], [3, 100], [50, 60]])
def test_takes_the_ranks_that_it_says(
    labels: list[int], positives: int | list[int], negatives: int | list[int]
) -> None:
    embeddings, targets = batch(labels, dim=3)
    x = embeddings.tolist()
    expected = []
    for a, label in enumerate(labels):
        others = sorted(
            (j for j in range(len(labels)) if j != a), key=lambda j, a=a: euclidean(x[a], x[j])
        )
        friends = [j for j in reversed(others) if labels[j] == label]
        strangers = [j for j in others if labels[j] != label]
        first, last = (1, positives) if isinstance(positives, int) else positives
        friends = friends[first - 1 : last]
        first, last = (1, negatives) if isinstance(negatives, int) else negatives
        strangers = strangers[first - 1 : last]
        expected += [(a, p, n) for p in friends for n in strangers]
    triplets = to_triplets(NHardMiner(positives, negatives)(embeddings, targets))
    assert sorted(listed(triplets)) == sorted(expected)


def test_one_of_each_is_batch_hard() -> None:
    embeddings, targets = batch(LABELS["unbalanced"])
    ours = to_triplets(NHardMiner()(embeddings, targets))
    assert listed(ours) == listed(BatchHardMiner()(embeddings, targets))


@pytest.mark.parametrize("ranks", [0, [0, 2], [3, 2]])
def test_impossible_settings_are_an_error(ranks: int | list[int]) -> None:
    with pytest.raises(ValueError, match=r"^negatives must"):
        NHardMiner(1, ranks)
