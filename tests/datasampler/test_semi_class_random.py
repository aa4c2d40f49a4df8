"""Pairs of random images of a class: the distribution of whole batches, by enumeration."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import permutations, product

import numpy as np
import pytest

from datasampler.semi_class_random import SemiClassRandom
from tests.samplers import assert_distribution, epoch

LABELS = [5, 2, 5, 5, 5]  # image 1 is alone in its class
OF_CLASS = {2: [1], 5: [0, 2, 3, 4]}
Batch = tuple[int, ...]


def published() -> Mapping[Batch, float]:
    """An image, uniform, and a random one of its class, twice."""
    found: dict[Batch, float] = defaultdict(float)
    for first, second in product(range(5), repeat=2):
        partners = OF_CLASS[LABELS[first]], OF_CLASS[LABELS[second]]
        for one, two in product(*partners):
            found[first, one, second, two] += 1 / 25 / len(partners[0]) / len(partners[1])
    return found


def distinct() -> Mapping[Batch, float]:
    """The classes of two distinct images, then distinct images of these classes."""
    pairs = {5: list(permutations(OF_CLASS[5], 2)), 2: [(1, 1)]}
    found: dict[Batch, float] = defaultdict(float)
    for drawn in permutations(range(5), 2):
        first, second = (LABELS[image] for image in drawn)
        batches = [one + two for one, two in product(pairs[first], pairs[second])]
        if first == second:
            batches = list(permutations(OF_CLASS[first], 4))
        for batch in batches:
            found[batch] += 1 / 20 / len(batches)
    return found


@pytest.mark.parametrize(("replacement", "of"), [(True, published), (False, distinct)])
def test_batches_are_distributed_as_the_enumeration_says(replacement: bool, of) -> None:  # noqa: ANN001
    sampler = SemiClassRandom(LABELS, 4, seed=0, replacement=replacement)
    drawn = [tuple(batch) for number in range(8000) for batch in epoch(sampler, number)]
    assert_distribution(drawn, of())


def test_pairs_are_of_one_class_and_images_distinct_while_there_are_enough() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 30, 600)
    sampler = SemiClassRandom(labels, 60, seed=0)
    for number in range(30):
        batches = epoch(sampler, number)
        assert len(batches) == 10
        for batch in batches:
            first, second = labels[batch[::2]], labels[batch[1::2]]
            assert (first == second).all()
            assert max(Counter(batch).values()) == 1


def test_classes_are_drawn_in_proportion_to_their_size() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    sampler = SemiClassRandom(labels, 2, seed=0)
    drawn = [int(labels[batch[0]]) for number in range(60) for batch in epoch(sampler, number)]
    assert_distribution(drawn, {0: 0.6, 1: 0.3, 2: 0.1})


@pytest.mark.parametrize(
    ("batch_size", "message"), [(0, "must be even"), (3, "=3 must be even"), (12, "twice the 5")]
)
def test_a_batch_that_cannot_exist_is_one_line(batch_size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SemiClassRandom(LABELS, batch_size, seed=0)
    if batch_size == 12:
        assert len(epoch(SemiClassRandom(LABELS, 12, seed=0, replacement=True), 0)[0]) == 12
