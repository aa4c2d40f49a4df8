"""HardClusterMiner against means and distances in plain Python."""

import math

import pytest

from batch_mining.hard_cluster import HardClusterMiner
from core.distance import Lp
from tests.batches import LABELS, batch, listed, unit


def by_definition(
    x: list[list[float]], labels: list[int], unit_vectors: bool
) -> set[tuple[int, int, int]]:
    def distance(a: list[float], b: list[float]) -> float:
        return math.dist(unit(a), unit(b)) if unit_vectors else math.dist(a, b)

    members = {c: [i for i, label in enumerate(labels) if label == c] for c in labels}
    means = {
        c: [sum(x[i][k] for i in own) / len(own) for k in range(len(x[0]))]
        for c, own in members.items()
    }
    centres = {
        c: min(own, key=lambda i, c=c: distance(x[i], means[c])) for c, own in members.items()
    }
    triplets = set()
    for c, own in members.items():
        friends = [i for i in own if i != centres[c]]
        if friends and len(members) > 1:
            farthest = max(friends, key=lambda i, c=c: distance(x[i], means[c]))
            strangers = [other for other in means if other != c]
            nearest = min(strangers, key=lambda o, c=c: distance(means[o], means[c]))
            triplets.add((centres[c], farthest, centres[nearest]))
    return triplets


@pytest.mark.parametrize("unit_vectors", [True, False])
@pytest.mark.parametrize("labels", [*LABELS.values(), [0, 1, 2, 3] * 4])
def test_one_triplet_of_centres_per_class(labels: list[int], unit_vectors: bool) -> None:
    embeddings, targets = batch(labels, dim=3, seed=1)
    triplets = HardClusterMiner(Lp(normalize=unit_vectors))(embeddings, targets)
    found = listed(triplets)
    expected = by_definition(embeddings.tolist(), labels, unit_vectors)
    if 2 in (labels.count(c) for c in labels) and not unit_vectors:
        return  # both samples of a class are equally near to their mean: either is right
    assert len(found) == len(expected)
    assert set(found) == expected


def test_references_have_the_means() -> None:
    embeddings, labels = batch([0, 0, 1], dim=3)
    references, reference_labels = batch([1, 0, 0, 0, 1, 1, 2], dim=3, seed=5)
    miner = HardClusterMiner(Lp(normalize=False))
    triplets = miner(embeddings, labels, references, reference_labels)
    y, other_labels = references.tolist(), reference_labels.tolist()
    ((anchor, positive, _), *_) = listed(triplets)
    assert other_labels[positive] == 0
    zeros = [y[i] for i in range(7) if other_labels[i] == 0]
    mean = [sum(v[k] for v in zeros) / 3 for k in range(3)]
    farthest = max((1, 2, 3), key=lambda i: math.dist(y[i], mean))
    assert positive == farthest
    nearest = min((0, 1), key=lambda i: math.dist(embeddings[i].tolist(), mean))
    assert anchor == nearest
