"""MultiSimilarityMiner against the definition, pair by pair."""

import pytest

from batch_mining.multisimilarity import MultiSimilarityMiner
from tests.batches import LABELS, batch, cosine, negative_pairs, positive_pairs


def kept_by_definition(
    x: list[list[float]], labels: list[int], epsilon: float
) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    positives, negatives = set(), set()
    for i in range(len(labels)):
        friends = {j: cosine(x[i], x[j]) for a, j in positive_pairs(labels) if a == i}
        strangers = {j: cosine(x[i], x[j]) for a, j in negative_pairs(labels) if a == i}
        if friends and strangers:
            hardest, easiest = max(strangers.values()), min(friends.values())
            positives |= {(i, j) for j, s in friends.items() if s < hardest + epsilon}
            negatives |= {(i, j) for j, s in strangers.items() if s > easiest - epsilon}
    return positives, negatives


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5, -0.2])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_keeps_exactly_the_pairs_of_the_definition(labels: list[int], epsilon: float) -> None:
    embeddings, targets = batch(labels)
    pairs = MultiSimilarityMiner(epsilon)(embeddings, targets)
    expected = kept_by_definition(embeddings.tolist(), labels, epsilon)
    assert tuple({tuple(p) for p in mask.nonzero().tolist()} for mask in pairs) == expected
