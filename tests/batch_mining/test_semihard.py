"""SemiHardMiner against the inequality of the paper."""

import math
from collections import Counter

import pytest

from batch_mining.semihard import SemiHardMiner
from core.distance import Lp
from tests.batches import batch, chi_square_p, euclidean, listed


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("fallback", [False, True])
def test_negatives_are_semihard_wherever_there_are_any(fallback: bool, power: float) -> None:
    labels = [0, 1, 2, 3, 4] * 4
    embeddings, targets = batch(labels, dim=3)
    x = embeddings.tolist()
    miner = SemiHardMiner(margin=0.05, fallback=fallback, distance=Lp(power=power))
    kept = fallen_back = 0
    for _ in range(20):
        for a, p, n in listed(miner(embeddings, targets)):
            near = euclidean(x[a], x[p]) ** power
            far = [
                near < euclidean(x[a], x[j]) ** power < near + 0.05 and labels[j] != labels[a]
                for j in range(len(labels))
            ]
            kept += far[n]
            fallen_back += not any(far)
            assert far[n] or (fallback and not any(far))
    assert kept > 0
    assert (fallen_back > 0) == fallback


def test_semihard_negatives_are_equally_likely() -> None:
    """On the unit circle: positive at 0.5 rad, negatives at 0.2 (too hard), 0.6, 0.65, 2 (easy)."""
    embeddings, labels = batch([0, 0, 1, 1, 1, 1], dim=2)
    angles = embeddings.new_tensor([0.0, 0.5, 0.2, 0.6, 0.65, 2.0])
    embeddings.data = 3 * angles[:, None].sub(embeddings.new_tensor([0.0, math.pi / 2])).cos()
    miner = SemiHardMiner(margin=0.2)
    drawn = Counter(int(miner(embeddings, labels).negatives[0]) for _ in range(1000))
    assert chi_square_p([drawn[j] for j in range(6)], [0, 0, 0, 0.5, 0.5, 0]) > 0.001
