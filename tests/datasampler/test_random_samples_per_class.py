"""Random numbers of images of each class: the distribution of whole batches, by enumeration."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import permutations, product

import numpy as np
import pytest

from datasampler.random_samples_per_class import RandomSamplesPerClass
from tests.samplers import assert_distribution, epoch

LABELS = [5, 2, 5, 5, 2, 9]  # image 5 is alone in its class
OF_CLASS = {2: [1, 4], 5: [0, 2, 3]}
Batch = tuple[int, ...]


def by_definition(size: int, numbers: Mapping[int, Sequence[int]]) -> Mapping[Batch, float]:
    """Batches of both classes in either order, with each of the numbers of images of a class."""
    found: dict[Batch, float] = defaultdict(float)
    for first, second in ((2, 5), (5, 2)):
        for m, n in product(numbers[first], numbers[second]):
            drawn = [
                one + two
                for one in permutations(OF_CLASS[first], m)
                for two in permutations(OF_CLASS[second], n)
            ]
            for batch in drawn:
                share = len(numbers[first]) * len(numbers[second]) * len(drawn)
                found[batch[:size]] += 1 / 2 / share
    return found


@pytest.mark.parametrize(
    ("size", "least", "most", "numbers"),
    [
        (2, 1, 2, {2: [1, 2], 5: [1, 2]}),
        (4, 2, 9, {2: [2], 5: [2, 3]}),
        (2, "half", "all", {2: [1, 2], 5: [1, 2, 3]}),
        (1, "half", 1, {2: [1], 5: [1]}),
    ],
)
def test_batches_are_distributed_as_the_enumeration_says(
    size: int, least: object, most: object, numbers: Mapping[int, Sequence[int]]
) -> None:
    sampler = RandomSamplesPerClass(LABELS, size, seed=0, least=least, most=most)
    drawn = [tuple(batch) for number in range(4000) for batch in epoch(sampler, number)]
    assert_distribution(drawn, by_definition(size, numbers))


@pytest.mark.parametrize(("least", "most"), [(5, 10), ("half", "all")])
def test_every_class_but_the_last_has_a_number_within_the_bounds(
    least: object, most: object
) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(100), rng.integers(2, 30, 100))
    sizes = np.bincount(labels)
    sampler = RandomSamplesPerClass(labels, 128, seed=0, least=least, most=most)
    numbers = set()
    for number in range(10):
        batches = epoch(sampler, number)
        assert len(batches) == len(labels) // 128
        for batch in batches:
            assert len(batch) == len(set(batch)) == 128
            counts = Counter(labels[batch].tolist())
            last = labels[batch[-1]]
            for label, count in counts.items():
                few = min(sizes[label], 5) if least == 5 else sizes[label] // 2
                many = min(sizes[label], 10) if most == 10 else sizes[label]
                assert (1 if label == last else few) <= count <= many
                numbers.add(count)
    assert len(numbers) > 9


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"least": 3, "most": 2}, "least=3 must be at most most=2"),
        ({"batch_size": 5, "least": 2}, "between 1 and 4: the 2 classes of more than one image"),
        ({"batch_size": 3, "least": "half"}, "between 1 and 2: .* least='half'"),
    ],
)
def test_a_batch_that_cannot_exist_is_one_line(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomSamplesPerClass(LABELS, **{"batch_size": 2, "seed": 0} | changed)
