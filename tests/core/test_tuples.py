"""Tuples and their conversions against plain enumeration."""

import pytest
import torch

from core.tuples import (
    all_pairs,
    drop_invalid,
    one_triplet_per_anchor,
    sample_weights,
    to_pairs,
    to_triplets,
    with_fallback,
)
from core.types import Pairs, Triplets
from tests.batches import LABELS, all_triplets, listed, negative_pairs, positive_pairs

every_batch = pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())


def marked(mask: torch.Tensor) -> set[tuple[int, ...]]:
    return {tuple(pair) for pair in mask.nonzero().tolist()}


@every_batch
def test_all_pairs_are_all_but_oneself(labels: list[int]) -> None:
    pairs = all_pairs(torch.tensor(labels))
    assert marked(pairs.positives) == set(positive_pairs(labels))
    assert marked(pairs.negatives) == set(negative_pairs(labels))


def test_a_reference_with_the_same_index_is_somebody_else() -> None:
    pairs = all_pairs(torch.tensor([0, 1]), torch.tensor([0, 0, 1]))
    assert pairs.positives.tolist() == [[True, True, False], [False, False, True]]
    assert pairs.negatives.equal(~pairs.positives)


@every_batch
def test_pairs_of_an_anchor_cross_to_triplets(labels: list[int]) -> None:
    triplets = to_triplets(all_pairs(torch.tensor(labels)))
    assert sorted(listed(triplets)) == all_triplets(labels)


def test_triplets_name_each_of_their_pairs_once() -> None:
    triplets = Triplets(*torch.tensor([[0, 1, 2], [0, 1, 3], [2, 3, 0]]).T)
    pairs = to_pairs(triplets, 4, 4)
    assert marked(pairs.positives) == {(0, 1), (2, 3)}
    assert marked(pairs.negatives) == {(0, 2), (0, 3), (2, 0)}


def test_what_is_of_the_right_kind_passes_through() -> None:
    pairs = all_pairs(torch.tensor([0, 0, 1]))
    assert to_pairs(pairs, 3, 3) is pairs
    triplets = to_triplets(pairs)
    assert to_triplets(triplets) is triplets


def test_weights_count_every_mention() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    triplets = Triplets(*torch.tensor([[0, 1, 2], [1, 0, 2]]).T)
    assert sample_weights(triplets, labels).tolist() == [2, 2, 2, 0]
    positives = torch.zeros(4, 4, dtype=torch.bool)
    positives[0, 1] = True
    negatives = torch.zeros(4, 4, dtype=torch.bool)
    negatives[0, 2] = True
    assert sample_weights(Pairs(positives, negatives), labels).tolist() == [2, 1, 1, 0]
    assert sample_weights(None, labels).tolist() == [1, 1, 1, 1]


def test_one_per_anchor_is_one_row_per_anchor_and_a_mask() -> None:
    columns = torch.tensor([5, 6, 7])
    triplets = one_triplet_per_anchor(columns, columns + 1, where=torch.tensor([True, False, True]))
    expected = [[0, 1, 2], [5, 6, 7], [6, 7, 8], [True, False, True]]
    assert [part.tolist() for part in triplets] == expected
    kept = drop_invalid(triplets)
    assert [part.tolist() for part in kept[:3]] == [[0, 2], [5, 7], [6, 8]]
    assert kept.valid is None
    assert drop_invalid(kept) is kept


def test_an_invalid_triplet_names_nothing() -> None:
    """Even where a valid one names the same pair, before or after it."""
    labels = torch.tensor([0, 0, 1, 1])
    indices = torch.tensor([[0, 1, 2], [0, 1, 3], [3, 2, 0], [0, 1, 2], [2, 3, 0]]).T
    masked = Triplets(*indices, valid=torch.tensor([False, True, True, False, False]))
    kept = drop_invalid(masked)
    for got, expected in zip(to_pairs(masked, 4, 4), to_pairs(kept, 4, 4), strict=True):
        assert got.equal(expected)
    assert sample_weights(masked, labels).equal(sample_weights(kept, labels))
    assert not to_pairs(masked, 4, 4).positives[2].any()


def test_or_else_falls_back_row_by_row() -> None:
    preferred = torch.tensor([[True, False], [False, False]])
    otherwise = torch.tensor([[False, True], [False, True]])
    assert with_fallback(preferred, otherwise).tolist() == [[True, False], [False, True]]
