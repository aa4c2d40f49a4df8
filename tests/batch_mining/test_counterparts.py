"""The same tuples as pytorch-metric-learning's miners, wherever nothing is drawn."""

import pytest
import torch

from benchmarks.pml_equivalents import MINERS
from core.types import Triplets
from tests.batches import LABELS, batch, listed
from tests.configured import build_miner

DRAWN = {"distance", "uniform_histogram"}  # other random numbers
ON_THE_SPHERE = {"angular"}  # theirs does not project the embeddings
SYMMETRIC = {"hdc"}  # one of two equally far pairs, (i, j) or (j, i), may be the last one kept

Found = list[set[tuple[int, ...]]]


def combined(*indices: torch.Tensor) -> set[tuple[int, ...]]:
    return set(zip(*(part.tolist() for part in indices), strict=True))


@pytest.mark.parametrize("labels", [LABELS["balanced"], LABELS["unbalanced"], [0, 1, 2, 3] * 4])
@pytest.mark.parametrize("miner", sorted(MINERS.keys() - DRAWN))
def test_chooses_the_same_tuples(miner: str, labels: list[int]) -> None:
    embeddings, targets = batch(labels, dim=3)
    if miner in ON_THE_SPHERE:
        embeddings = torch.nn.functional.normalize(embeddings)
    ours = build_miner(miner)(embeddings, targets)
    theirs = MINERS[miner]()(embeddings, targets)
    if isinstance(ours, Triplets):
        found, expected = [set(listed(ours))], [combined(*theirs)]
    else:
        found = [combined(*mask.nonzero(as_tuple=True)) for mask in ours]
        expected = [combined(*theirs[:2]), combined(*theirs[2:])]
    if miner in SYMMETRIC:
        found, expected = unordered(found), unordered(expected)
    assert found == expected
    assert all(expected), "there was something to choose"


def unordered(found: Found) -> Found:
    return [{tuple(sorted(pair)) for pair in pairs} for pairs in found]


@pytest.mark.parametrize("miner", sorted(DRAWN))
def test_draws_from_the_same_pairs(miner: str) -> None:
    """Both agree on what can be drawn: over many draws, each names the same tuples."""
    embeddings, targets = batch([0, 1, 2] * 3, dim=3)
    ours, theirs = build_miner(miner), MINERS[miner]()
    found: Found = [set(), set()]
    expected: Found = [set(), set()]
    torch.manual_seed(0)
    for _ in range(200):
        drawn, other = ours(embeddings, targets), theirs(embeddings, targets)
        if isinstance(drawn, Triplets):
            found[0] |= {(a, p) for a, p, _ in listed(drawn)}
            found[1] |= {(a, n) for a, _, n in listed(drawn)}
            expected[0] |= combined(other[0], other[1])
            expected[1] |= combined(other[0], other[2])
        else:
            for known, mask in zip(found, drawn, strict=True):
                known |= combined(*mask.nonzero(as_tuple=True))
            expected[0] |= combined(*other[:2])
            expected[1] |= combined(*other[2:])
    assert found == expected
