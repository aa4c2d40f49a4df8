"""RandomMiner draws every positive and every negative equally often."""

from collections import Counter

import pytest
import torch

from batch_mining.random import RandomMiner
from tests.batches import all_triplets, batch, chi_square_p, listed


def test_positives_and_negatives_are_uniform_and_independent() -> None:
    labels = [0, 0, 0, 0, 1, 1, 2, 2]
    embeddings, targets = batch(labels)
    miner, drawn = RandomMiner(seed=0), Counter[tuple[int, int]]()
    for _ in range(2400):
        triplets = miner(embeddings, targets)
        drawn[int(triplets.positives[0]), int(triplets.negatives[0])] += 1
    cells = [(p, n) for p in (1, 2, 3) for n in (4, 5, 6, 7)]
    assert set(drawn) == set(cells)
    assert chi_square_p([drawn[cell] for cell in cells], [1 / 12] * 12) > 0.001


def test_a_large_batch_draws_for_each_anchor_on_its_own() -> None:
    labels = torch.arange(64).repeat_interleave(8)
    triplets = RandomMiner(seed=0)(torch.randn(512, 4), labels)
    ranks = (triplets.positives - triplets.anchors) % 8
    assert len(ranks.unique()) == 7


def test_all_triplets_of_unequal_classes_are_equally_likely_if_anchors_are_drawn() -> None:
    """Someone repeats a study that draws from the list of all triplets."""
    labels = [0, 0, 0, 1, 1, 2]
    embeddings, targets = batch(labels)
    miner, drawn = RandomMiner(seed=0, per_anchor=False), Counter[tuple[int, ...]]()
    for _ in range(600):
        triplets = miner(embeddings, targets)
        assert len(listed(triplets)) == len(labels)
        drawn.update(listed(triplets))
    cells = all_triplets(labels)
    assert set(drawn) == set(cells)
    assert chi_square_p([drawn[cell] for cell in cells], [1 / len(cells)] * len(cells)) > 0.001


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_where_no_anchor_can_be_drawn_there_is_nothing(labels: list[int]) -> None:
    embeddings, targets = batch(labels)
    assert not listed(RandomMiner(per_anchor=False)(embeddings, targets))
