"""BatchEasyHardMiner against the definition of each strategy, anchor by anchor."""

from itertools import product

import pytest

from batch_mining.batch_easy_hard import BatchEasyHardMiner
from core.tuples import to_triplets
from tests.batches import LABELS, batch, euclidean, listed, negative_pairs, positive_pairs

STRATEGIES = [
    pair
    for pair in product(["easy", "hard", "semihard", "all"], repeat=2)
    if not ("semihard" in pair and set(pair) <= {"semihard", "all"})
]
RANGES = [None, (0.9, 1.5)]


def one(far: dict[int, float], strategy: str, easy_is_near: bool) -> dict[int, float]:
    """The chosen entry; a semi-hard one is the hardest of those it has been left."""
    if strategy == "all" or not far:
        return far
    nearest = (strategy == "easy") == easy_is_near
    index = (min if nearest else max)(far, key=far.get)
    return {index: far[index]}


def by_definition(
    x: list[list[float]], labels: list[int], strategies: tuple[str, str], limits: tuple | None
) -> set[tuple[int, int, int]]:
    triplets = set()
    for a, label in enumerate(labels):
        far = {j: euclidean(x[a], x[j]) for j in range(len(labels)) if j != a}
        far = {j: d for j, d in far.items() if limits is None or limits[0] <= d <= limits[1]}
        positives = {j: d for j, d in far.items() if labels[j] == label}
        negatives = {j: d for j, d in far.items() if labels[j] != label}
        if strategies[0] == "semihard" and negatives:
            (bound,) = one(negatives, strategies[1], easy_is_near=False).values()
            positives = {j: d for j, d in positives.items() if d < bound}
        if strategies[1] == "semihard" and positives:
            (bound,) = one(positives, strategies[0], easy_is_near=True).values()
            negatives = {j: d for j, d in negatives.items() if d > bound}
        for p in one(positives, strategies[0], easy_is_near=True):
            triplets |= {(a, p, n) for n in one(negatives, strategies[1], easy_is_near=False)}
    return triplets


@pytest.mark.parametrize("limits", RANGES)
@pytest.mark.parametrize("strategies", STRATEGIES, ids="-".join)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_chooses_what_the_strategies_say(
    labels: list[int], strategies: tuple[str, str], limits: tuple[float, float] | None
) -> None:
    embeddings, targets = batch(labels, dim=3, seed=2)
    pairs = BatchEasyHardMiner(*strategies, limits, limits)(embeddings, targets)
    triplets = to_triplets(pairs)
    found = set(listed(triplets))
    assert found == by_definition(embeddings.tolist(), labels, strategies, limits)
    complete = pairs.positives.any(dim=1) == pairs.negatives.any(dim=1)
    assert complete.all(), "an anchor keeps both kinds or nothing"


def test_some_anchor_has_no_semihard_negative() -> None:
    """Otherwise the test above would not have seen the case."""
    embeddings, targets = batch(LABELS["unbalanced"], dim=3, seed=2)
    pairs = BatchEasyHardMiner("hard", "semihard")(embeddings, targets)
    assert 0 < pairs.positives.any(dim=1).sum() < 7


def test_a_negative_as_far_as_the_positive_is_not_semihard() -> None:
    embeddings, targets = batch([0, 0, 1, 1], dim=2)
    embeddings.data = embeddings.new_tensor([[1, 0], [0, 1], [0, -1], [-1, 0]])
    pairs = BatchEasyHardMiner("easy", "semihard")(embeddings, targets)
    assert pairs.negatives[0].tolist() == [False, False, False, True]


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_each_positive_has_the_nearest_negative_beyond_it_else_the_farthest(
    labels: list[int],
) -> None:
    """Someone asks for all positives with semi-hard negatives, as FaceNet describes them."""
    embeddings, targets = batch(labels, dim=3, seed=2)
    x = embeddings.tolist()
    expected = []
    for a, p in positive_pairs(labels):
        far = {n: euclidean(x[a], x[n]) for b, n in negative_pairs(labels) if b == a}
        beyond = {n: d for n, d in far.items() if d > euclidean(x[a], x[p])}
        if far:
            n = min(beyond, key=beyond.get) if beyond else max(far, key=far.get)
            expected.append((a, p, n))
    triplets = BatchEasyHardMiner("all", "semihard")(embeddings, targets)
    assert listed(triplets) == expected


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_each_negative_has_the_farthest_positive_before_it_else_the_nearest(
    labels: list[int],
) -> None:
    embeddings, targets = batch(labels, dim=3, seed=2)
    x = embeddings.tolist()
    expected = []
    for a, n in negative_pairs(labels):
        far = {p: euclidean(x[a], x[p]) for b, p in positive_pairs(labels) if b == a}
        before = {p: d for p, d in far.items() if d < euclidean(x[a], x[n])}
        if far:
            p = max(before, key=before.get) if before else min(far, key=far.get)
            expected.append((a, p, n))
    triplets = BatchEasyHardMiner("semihard", "all")(embeddings, targets)
    assert listed(triplets) == expected


def test_an_anchor_can_be_one_of_its_own_positives() -> None:
    embeddings, targets = batch(LABELS["unbalanced"])
    without, included = (
        BatchEasyHardMiner("all", "all", include_anchor=flag)(embeddings, targets)
        for flag in (False, True)
    )
    assert included.positives.diagonal().all()
    assert (included.positives.sum() - without.positives.sum()).item() == len(targets)
    references = BatchEasyHardMiner("all", "all", include_anchor=True)(
        embeddings, targets, embeddings.detach(), targets + 9
    )
    assert not references.positives.any()


def test_semihard_needs_one_to_compare_with() -> None:
    with pytest.raises(ValueError, match="semihard"):
        BatchEasyHardMiner("semihard", "semihard")


def test_impossible_settings_are_an_error() -> None:
    with pytest.raises(ValueError, match="negatives must be one of"):
        BatchEasyHardMiner(negatives="harder")
    with pytest.raises(ValueError, match="allowed_positives must be ascending"):
        BatchEasyHardMiner(allowed_positives=[1.0, 0.5])
