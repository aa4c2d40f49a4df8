"""IntraRandomMiner draws two others of the anchor's class."""

from collections import Counter

from batch_mining.intra_random import IntraRandomMiner
from tests.batches import LABELS, batch, chi_square_p, listed


def test_all_three_are_different_samples_of_one_class() -> None:
    embeddings, labels = batch(LABELS["unbalanced"])
    for _ in range(20):
        drawn = listed(IntraRandomMiner()(embeddings, labels))
        assert drawn
        for triplet in drawn:
            assert len(set(triplet)) == 3
            assert len({LABELS["unbalanced"][sample] for sample in triplet}) == 1


def test_every_two_others_are_equally_likely() -> None:
    embeddings, labels = batch([0, 0, 0, 0, 1])
    miner, drawn = IntraRandomMiner(), Counter[tuple[int, int]]()
    for _ in range(1500):
        _, first, second, _ = miner(embeddings, labels)
        drawn[int(first[0]), int(second[0])] += 1
    cells = [(p, n) for p in (1, 2, 3) for n in (1, 2, 3) if p != n]
    assert set(drawn) == set(cells)
    assert chi_square_p([drawn[cell] for cell in cells], [1 / 6] * 6) > 0.001


def test_at_two_samples_per_class_it_is_the_other_one_twice() -> None:
    embeddings, labels = batch([0, 0, 1, 1])
    anchors, first, second, valid = IntraRandomMiner()(embeddings, labels)
    assert valid.all()
    assert anchors.tolist() == [0, 1, 2, 3]
    assert first.tolist() == second.tolist() == [1, 0, 3, 2]
