"""SoftHardMiner against its definition, anchor by anchor."""

from collections import defaultdict

from batch_mining.softhard import SoftHardMiner
from tests.batches import batch, euclidean, listed


def candidates_by_definition(
    x: list[list[float]], labels: list[int], anchor: int
) -> tuple[set[int], set[int]]:
    positives = [j for j in range(len(x)) if labels[j] == labels[anchor] and j != anchor]
    negatives = [j for j in range(len(x)) if labels[j] != labels[anchor]]
    far = {j: euclidean(x[anchor], x[j]) for j in range(len(x))}
    nearest_negative = min(far[j] for j in negatives)
    farthest_positive = max(far[j] for j in positives)
    hard_positives = {j for j in positives if far[j] > nearest_negative}
    hard_negatives = {j for j in negatives if far[j] < farthest_positive}
    return hard_positives or set(positives), hard_negatives or set(negatives)


def test_draws_exactly_the_candidates_of_the_definition() -> None:
    labels = [0, 1, 2, 3] * 3
    embeddings, targets = batch(labels, dim=2)
    embeddings.data[[0, 4, 8]] = embeddings.data[[0, 0, 0]]  # an anchor with no hard tuple at all
    positives, negatives = defaultdict(set), defaultdict(set)
    miner = SoftHardMiner(seed=0)
    for _ in range(300):
        for a, p, n in listed(miner(embeddings, targets)):
            positives[a].add(p)
            negatives[a].add(n)
    x = embeddings.tolist()
    for anchor in range(len(labels)):
        expected = candidates_by_definition(x, labels, anchor)
        assert (positives[anchor], negatives[anchor]) == expected
