"""BatchEasyHardMiner against the definition of each strategy, anchor by anchor."""

from itertools import product

import pytest

from batch_mining.batch_easy_hard import BatchEasyHardMiner
from core.tuples import to_triplets
from tests.batches import LABELS, batch, euclidean, listed

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


@pytest.mark.parametrize(
    "strategies", [("semihard", "semihard"), ("all", "semihard"), ("semihard", "all")]
)
def test_semihard_needs_one_to_compare_with(strategies: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="semihard"):
        BatchEasyHardMiner(*strategies)


def test_impossible_settings_are_an_error() -> None:
    with pytest.raises(ValueError, match="negatives must be one of"):
        BatchEasyHardMiner(negatives="harder")
    with pytest.raises(ValueError, match="allowed_positives must be ascending"):
        BatchEasyHardMiner(allowed_positives=[1.0, 0.5])
