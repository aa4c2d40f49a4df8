"""LabelShuffledMiner knows nothing of the labels but how many share one."""

from collections import Counter

from batch_mining.label_shuffled import LabelShuffledMiner
from tests.batches import batch, chi_square_p


def test_a_positive_is_any_other_sample_equally_often() -> None:
    embeddings, labels = batch([0, 0, 0, 1, 1, 1])
    miner, drawn = LabelShuffledMiner(), Counter[int]()
    for _ in range(1500):
        drawn[int(miner(embeddings, labels).positives[0])] += 1
    assert chi_square_p([drawn[j] for j in range(6)], [0, *[1 / 5] * 5]) > 0.001


def test_the_three_differ_and_their_labels_need_not_agree() -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 4)
    anchors, positives, negatives, valid = LabelShuffledMiner()(embeddings, labels)
    assert anchors.tolist() == list(range(16))
    assert valid.all()
    assert (anchors != positives).all()
    assert (anchors != negatives).all()
    assert (positives != negatives).all()
    assert not labels[anchors].equal(labels[positives])


def test_references_are_shuffled_among_themselves() -> None:
    embeddings, labels = batch([0, 0])
    references, reference_labels = batch([0, 1, 1, 1], seed=1)
    miner, drawn = LabelShuffledMiner(), Counter[int]()
    for _ in range(1000):
        drawn[int(miner(embeddings, labels, references, reference_labels).positives[0])] += 1
    assert chi_square_p([drawn[j] for j in range(4)], [1 / 4] * 4) > 0.001
