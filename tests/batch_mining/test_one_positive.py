"""OnePositiveMiner keeps one positive of each anchor, equally often each, and all its negatives."""

from collections import Counter

from batch_mining.one_positive import OnePositiveMiner
from tests.batches import batch, chi_square_p

LABELS = [0, 0, 0, 0, 1, 1, 2]


def test_one_positive_and_every_negative_of_each_anchor() -> None:
    embeddings, labels = batch(LABELS)
    positives, negatives = OnePositiveMiner(seed=0)(embeddings, labels)
    assert positives.sum(dim=1).tolist() == [1, 1, 1, 1, 1, 1, 0]
    assert negatives.sum(dim=1).tolist() == [3, 3, 3, 3, 5, 5, 0]


def test_each_positive_is_drawn_equally_often() -> None:
    embeddings, labels = batch(LABELS)
    miner, drawn = OnePositiveMiner(seed=0), Counter[int]()
    for _ in range(900):
        drawn[int(miner(embeddings, labels).positives[0].nonzero())] += 1
    assert set(drawn) == {1, 2, 3}
    assert chi_square_p([drawn[p] for p in (1, 2, 3)], [1 / 3] * 3) > 0.001
