"""Triplets found in blocks against plain enumeration."""

import pytest
import torch
from torch import Tensor

import core.kernels.triplets_where
from core.kernels.triplets_where import triplets_where
from core.random import SeededRandom
from core.tuples import all_pairs
from core.types import Mask
from tests.batches import LABELS, all_triplets, chi_square_p, listed


def everything(anchors: Tensor, _positives: Tensor) -> Mask:
    """Anything goes, and more than that: the anchor itself, and what is no negative."""
    return torch.ones(len(anchors), 9, dtype=torch.bool)


@pytest.mark.parametrize("block", [1, 20, 2**22])
@pytest.mark.parametrize("most", [None, 1, 7, 10**6])
def test_none_twice_and_as_many_as_wanted(
    most: int | None, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.kernels.triplets_where, "BLOCK", block)
    pairs = all_pairs(torch.tensor(LABELS["unbalanced"]))
    possible = all_triplets(LABELS["unbalanced"])
    triplets = triplets_where(everything, pairs, most, SeededRandom(seed=3))
    found = listed(triplets)
    assert set(found) <= set(possible)
    assert len(found) == len(set(found)) == min(most or len(possible), len(possible))


@pytest.mark.parametrize("most", [1, 5, 89])
def test_each_is_equally_likely(most: int) -> None:
    pairs, draw = all_pairs(torch.tensor(LABELS["unbalanced"])), SeededRandom(seed=0)
    counts = dict.fromkeys(all_triplets(LABELS["unbalanced"]), 0)
    assert len(counts) > 89
    for _ in range(1500):
        for triplet in listed(triplets_where(everything, pairs, most, draw)):
            counts[triplet] += 1
    assert chi_square_p(list(counts.values()), [1 / len(counts)] * len(counts)) > 0.001


@pytest.mark.parametrize("most", [None, 5])
def test_nothing_to_find_is_no_error(most: int | None) -> None:
    for labels in ([0, 0, 0], [0, 1, 2], [0]):
        pairs = all_pairs(torch.tensor(labels))
        triplets = triplets_where(
            lambda anchors, _: torch.ones(len(anchors), 1).bool(), pairs, most, SeededRandom(seed=0)
        )
        assert [len(part) for part in triplets[:3]] == [0, 0, 0]
