"""What batches of several categories promise in which each class has its turn."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from datasampler.distinct_category_balance import DistinctCategoryBalance
from tests.samplers import assert_distribution, epoch

# 16 classes of 3 images, and class 16 of one: categories of 2, 3, 5 and 7 classes
NAMES = np.array(["d"] * 2 + ["a"] * 3 + ["c"] * 5 + ["b"] * 7)
CLASSES = {name: set(np.flatnonzero(name == NAMES).tolist()) for name in "abcd"}
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(17), [3] * 16 + [1]))
CATEGORIES = NAMES[LABELS]


def sampler(batch_size: int = 8, **changes: object) -> DistinctCategoryBalance:
    settings = {"samples_per_class": 2, "seed": 0, "epoch_length": 40} | changes
    return DistinctCategoryBalance(LABELS, CATEGORIES, batch_size, **settings)


@pytest.mark.parametrize("categories_per_batch", [1, 2, 3])
def test_each_batch_is_one_that_the_rule_permits(categories_per_batch: int) -> None:
    """The rule once more, with the classes not yet drawn as sets."""
    drawn = sampler(4 * categories_per_batch, categories_per_batch=categories_per_batch)
    restarts = completed = 0
    for number in range(20):
        unused = {name: set(classes) for name, classes in CLASSES.items()}
        for batch in epoch(drawn, number):
            if sum(map(bool, unused.values())) < categories_per_batch:
                unused = {name: set(classes) for name, classes in CLASSES.items()}
                restarts += 1
            chosen = {name: set() for name in CATEGORIES[batch].tolist()}
            for image in batch:
                chosen[CATEGORIES[image]].add(int(LABELS[image]))
            assert len(chosen) == categories_per_batch
            for name, classes in chosen.items():
                assert len(classes) == 2
                assert unused[name]
                assert len(classes & unused[name]) == min(2, len(unused[name]))
                completed += len(unused[name]) < 2
                unused[name] -= classes
    assert restarts > 20
    assert completed > 20


def test_a_batch_has_images_of_distinct_classes() -> None:
    for batch in epoch(sampler(), 0):
        assert sorted(Counter(LABELS[batch].tolist()).values()) == [2, 2, 2, 2]
        repeated = [image for image, times in Counter(batch).items() if times > 1]
        assert all(LABELS[image] == 16 for image in repeated)


def test_categories_are_equally_likely_whatever_their_size() -> None:
    """In the first batch of an epoch, where all have classes left."""
    first = [
        frozenset(CATEGORIES[epoch(sampler(epoch_length=1), number)[0]].tolist())
        for number in range(600)
    ]
    assert_distribution(first, {frozenset(pair): 1 / 6 for pair in combinations("abcd", 2)})


def test_classes_and_images_are_equally_likely() -> None:
    batches = [epoch(sampler(epoch_length=1), number)[0] for number in range(1500)]
    first = [int(LABELS[batch[0]]) for batch in batches if CATEGORIES[batch[0]] == "b"]
    assert_distribution(first, dict.fromkeys(CLASSES["b"], 1 / 7))
    images = np.flatnonzero(LABELS == 4).tolist()
    of_class = [image for batch in batches for image in batch if image in images]
    assert_distribution(of_class, dict.fromkeys(images, 1 / 3))


def test_a_completing_class_is_a_random_earlier_one() -> None:
    """The second batch of a category of 3 classes: its last class and one of the first two."""
    alone = DistinctCategoryBalance(
        [0, 1, 2], ["a"] * 3, 2, 1, seed=0, categories_per_batch=1, epoch_length=2
    )
    drawn = []
    for number in range(600):
        first, second = epoch(alone, number)
        assert second[0] not in first
        drawn.append(first.index(second[1]))
    assert_distribution(drawn, {0: 0.5, 1: 0.5})


def test_the_length_of_an_epoch() -> None:
    assert len(sampler(epoch_length=None)) == len(LABELS) // 8
    assert len(sampler(epoch_length=3)) == 3


@pytest.mark.parametrize(
    ("batch_size", "changes", "message"),
    [
        (6, {}, "batch_size=6 must be a positive multiple of categories_per_batch=2 times samples"),
        (20, {"categories_per_batch": 5}, r"categories_per_batch=5 must lie in 1\.\.4"),
        (12, {}, "takes 3 classes of a category, and category d has 2"),
        (8, {"epoch_length": 0}, "epoch_length=0 must be at least 1"),
    ],
)
def test_a_batch_that_cannot_exist_is_one_line(
    batch_size: int, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        sampler(batch_size, **changes)
    assert "\n" not in str(error.value)
