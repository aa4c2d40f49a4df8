"""What batches of several categories, drawn independently, promise."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from datasampler.category_balance import CategoryBalance
from tests.samplers import assert_distribution, epoch

# 10 classes of 3 images, and class 9 of one: categories of 2, 3 and 5 classes
NAMES = np.array(["c"] * 2 + ["a"] * 3 + ["b"] * 5)
SIZES = {"a": 3, "b": 5, "c": 2}
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), [3] * 9 + [1]))
CATEGORIES = NAMES[LABELS]


def sampler(batch_size: int = 8, **changes: object) -> CategoryBalance:
    settings = {"samples_per_class": 2, "seed": 0} | changes
    return CategoryBalance(LABELS, CATEGORIES, batch_size, **settings)


def drawn_categories(batch: list[int], parts: int = 2) -> tuple[str, ...]:
    """Categories of the parts of a batch, in their order."""
    names = CATEGORIES[batch].reshape(parts, -1)
    assert (names == names[:, :1]).all()
    return tuple(names[:, 0].tolist())


def test_a_batch_has_distinct_categories_classes_and_images() -> None:
    for number in range(30):
        batches = epoch(sampler(), number)
        assert len(batches) == 5  # 10 classes, 2 of each category in a batch
        for batch in batches:
            assert len(batch) == 8
            assert len(set(drawn_categories(batch))) == 2
            assert sorted(Counter(LABELS[batch].tolist()).values()) == [2, 2, 2, 2]
            repeated = [image for image, times in Counter(batch).items() if times > 1]
            assert all(LABELS[image] == 9 for image in repeated)


def test_an_incomplete_turn_of_the_classes_counts_as_a_batch() -> None:
    assert len(sampler(16, categories_per_batch=2, repeat_classes=True)) == 3  # 10 / 4


@pytest.mark.parametrize("weighted", [True, False])
def test_categories_are_drawn_one_after_the_other_by_their_classes(weighted: bool) -> None:
    weights = {name: size if weighted else 1 for name, size in SIZES.items()}
    total = sum(weights.values())
    expected = {
        (first, second): weights[first] / total * weights[second] / (total - weights[first])
        for first, second in permutations(weights, 2)
    }
    drawn = [
        drawn_categories(batch)
        for number in range(600)
        for batch in epoch(sampler(weighted=weighted), number)
    ]
    assert_distribution(map(frozenset, drawn), frozen(expected))


def frozen(ordered: dict[tuple[str, str], float]) -> dict[frozenset[str], float]:
    return {
        frozenset(pair): ordered[pair] + ordered[pair[::-1]]
        for pair in ordered
        if pair[0] < pair[1]
    }


def test_classes_and_images_are_equally_likely() -> None:
    batches = [batch for number in range(300) for batch in epoch(sampler(), number)]
    first = [int(LABELS[batch[0]]) for batch in batches if CATEGORIES[batch[0]] == "b"]
    assert_distribution(first, dict.fromkeys(range(5, 10), 1 / 5))
    images = np.flatnonzero(LABELS == 4).tolist()
    of_class = [image for batch in batches for image in batch if image in images]
    assert_distribution(of_class, dict.fromkeys(images, 1 / 3))


def test_a_category_of_few_classes_repeats_them_if_it_may() -> None:
    """4 classes of each category: c has 2, each of which comes twice, with other images."""
    repeating = sampler(12, samples_per_class=1, categories_per_batch=3, repeat_classes=True)
    for number in range(30):
        for batch in epoch(repeating, number):
            times = Counter(LABELS[batch].tolist())
            assert times[0] == times[1] == 2
            assert sorted(times[label] for label in (2, 3, 4)) == [1, 1, 2]
            assert sorted(times[label] for label in range(5, 10)) == [0, 1, 1, 1, 1]
            assert len(set(batch)) == 12


@pytest.mark.parametrize(
    ("batch_size", "changes", "message"),
    [
        (6, {}, "batch_size=6 must be a positive multiple of categories_per_batch=2 times samples"),
        (16, {"categories_per_batch": 4}, r"categories_per_batch=4 must lie in 1\.\.3"),
        (12, {}, "takes 3 classes of a category, and category c has 2"),
    ],
)
def test_a_batch_that_cannot_exist_is_one_line(
    batch_size: int, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        sampler(batch_size, **changes)
    assert "\n" not in str(error.value)
