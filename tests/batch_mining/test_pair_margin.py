"""PairMarginMiner against its two inequalities, pair by pair."""

import pytest

from batch_mining.pair_margin import PairMarginMiner
from core.distance import Cosine
from tests.batches import LABELS, batch, cosine, euclidean, negative_pairs, positive_pairs


@pytest.mark.parametrize("margins", [(0.2, 0.8), (1.2, 1.3), (3.0, -1.0)])
@pytest.mark.parametrize("measure", ["euclidean", "cosine"])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_keeps_exactly_the_pairs_beyond_the_margins(
    labels: list[int], measure: str, margins: tuple[float, float]
) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    near, far = margins

    def distance(i: int, j: int) -> float:
        return euclidean(x[i], x[j]) if measure == "euclidean" else 1 - cosine(x[i], x[j])

    miner = PairMarginMiner(*margins, distance=Cosine() if measure == "cosine" else None)
    positives, negatives = miner(embeddings, targets)
    assert [tuple(pair) for pair in positives.nonzero().tolist()] == [
        pair for pair in positive_pairs(labels) if distance(*pair) > near
    ]
    assert [tuple(pair) for pair in negatives.nonzero().tolist()] == [
        pair for pair in negative_pairs(labels) if distance(*pair) < far
    ]
