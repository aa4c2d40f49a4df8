"""Tuples and their conversions against plain enumeration."""

import pytest
import torch

from core.tuples import all_pairs, one_per_anchor, or_else, to_pairs, to_triplets, to_weights
from core.types import Pairs, Triplets
from tests.batches import LABELS, all_triplets, negative_pairs, positive_pairs

every_batch = pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())


def listed(mask: torch.Tensor) -> set[tuple[int, ...]]:
    return {tuple(pair) for pair in mask.nonzero().tolist()}


@every_batch
def test_all_pairs_are_all_but_oneself(labels: list[int]) -> None:
    pairs = all_pairs(torch.tensor(labels))
    assert listed(pairs.positives) == set(positive_pairs(labels))
    assert listed(pairs.negatives) == set(negative_pairs(labels))


def test_a_reference_with_the_same_index_is_somebody_else() -> None:
    pairs = all_pairs(torch.tensor([0, 1]), torch.tensor([0, 0, 1]))
    assert pairs.positives.tolist() == [[True, True, False], [False, False, True]]
    assert pairs.negatives.equal(~pairs.positives)


@every_batch
def test_pairs_of_an_anchor_cross_to_triplets(labels: list[int]) -> None:
    triplets = to_triplets(all_pairs(torch.tensor(labels)))
    assert sorted(zip(*map(torch.Tensor.tolist, triplets), strict=True)) == all_triplets(labels)


def test_triplets_name_each_of_their_pairs_once() -> None:
    triplets = Triplets(*torch.tensor([[0, 1, 2], [0, 1, 3], [2, 3, 0]]).T)
    pairs = to_pairs(triplets, 4, 4)
    assert listed(pairs.positives) == {(0, 1), (2, 3)}
    assert listed(pairs.negatives) == {(0, 2), (0, 3), (2, 0)}


def test_what_is_of_the_right_kind_passes_through() -> None:
    pairs = all_pairs(torch.tensor([0, 0, 1]))
    assert to_pairs(pairs, 3, 3) is pairs
    triplets = to_triplets(pairs)
    assert to_triplets(triplets) is triplets


def test_weights_count_every_mention() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    triplets = Triplets(*torch.tensor([[0, 1, 2], [1, 0, 2]]).T)
    assert to_weights(triplets, labels).tolist() == [2, 2, 2, 0]
    positives = torch.zeros(4, 4, dtype=torch.bool)
    positives[0, 1] = True
    negatives = torch.zeros(4, 4, dtype=torch.bool)
    negatives[0, 2] = True
    assert to_weights(Pairs(positives, negatives), labels).tolist() == [2, 1, 1, 0]
    assert to_weights(None, labels).tolist() == [1, 1, 1, 1]


def test_one_per_anchor_keeps_the_marked() -> None:
    columns = torch.tensor([5, 6, 7])
    triplets = one_per_anchor(columns, columns + 1, where=torch.tensor([True, False, True]))
    assert [part.tolist() for part in triplets] == [[0, 2], [5, 7], [6, 8]]


def test_or_else_falls_back_row_by_row() -> None:
    preferred = torch.tensor([[True, False], [False, False]])
    otherwise = torch.tensor([[False, True], [False, True]])
    assert or_else(preferred, otherwise).tolist() == [[True, False], [False, True]]
