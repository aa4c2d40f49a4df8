"""Random batches with one forced positive: the distribution of whole batches, by enumeration."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import permutations, product

import numpy as np
import pytest

from datasampler.full_random import FullRandom
from tests.samplers import assert_distribution, epoch

LABELS = [5, 2, 5, 5]  # images 0, 2 and 3 are of one class
OF_CLASS = {2: [1], 5: [0, 2, 3]}
Batch = tuple[int, ...]


def published() -> Mapping[Batch, float]:
    """Class, then image, both uniform; a random one of the class of a random one of these."""
    found: dict[Batch, float] = defaultdict(float)
    once = {image: 1 / 2 / len(OF_CLASS[LABELS[image]]) for image in range(4)}
    for first, second in product(range(4), repeat=2):
        for chosen in (first, second):
            same = OF_CLASS[LABELS[chosen]]
            for last in same:
                found[first, second, last] += once[first] * once[second] / 2 / len(same)
    return found


def intended() -> Mapping[Batch, float]:
    """Two distinct images, all equally likely, and another of the class of a random one."""
    found: dict[Batch, float] = defaultdict(float)
    for first, second in permutations(range(4), 2):
        for chosen in (first, second):
            others = [image for image in OF_CLASS[LABELS[chosen]] if image != chosen]
            new = [image for image in others if image not in (first, second)]
            choices = new or others or [chosen]
            for last in choices:
                found[first, second, last] += 1 / 12 / 2 / len(choices)
    return found


@pytest.mark.parametrize(("uniform_over", "of"), [("classes", published), ("images", intended)])
def test_batches_are_distributed_as_the_enumeration_says(uniform_over: str, of) -> None:  # noqa: ANN001
    sampler = FullRandom(LABELS, 3, seed=0, uniform_over=uniform_over)
    drawn = [tuple(batch) for number in range(8000) for batch in epoch(sampler, number)]
    assert_distribution(drawn, of())


def test_another_image_in_the_batch_is_better_than_the_same_one() -> None:
    """The class of the chosen image has no image left: then it is one of the batch."""
    sampler = FullRandom([0, 0, 1, 1], 4, seed=0, uniform_over="images")
    for number in range(100):
        (batch,) = epoch(sampler, number)
        assert len(set(batch[:3])) == 3
    pairs = FullRandom([0, 0], 2, seed=0, uniform_over="images")
    assert all(sorted(epoch(pairs, number)[0]) == [0, 1] for number in range(20))


@pytest.mark.parametrize("uniform_over", ["classes", "images"])
def test_the_last_image_has_a_positive(uniform_over: str) -> None:
    labels = np.arange(200) // 10
    sampler = FullRandom(labels, 10, seed=1, uniform_over=uniform_over)
    batches = epoch(sampler, 0)
    assert len(batches) == 20
    for batch in batches:
        assert labels[batch[-1]] in labels[batch[:-1]]
        assert len(set(batch)) == 10 or uniform_over == "classes"


@pytest.mark.parametrize(
    ("batch_size", "uniform_over", "message"),
    [
        (1, "classes", "batch_size=1 must be at least 2"),
        (5, "images", r"batch_size=5 must lie in 2\.\.4, the training images"),
        (2, "all", "uniform_over='all' must be classes or images"),
    ],
)
def test_a_batch_that_cannot_exist_is_one_line(
    batch_size: int, uniform_over: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        FullRandom(LABELS, batch_size, seed=0, uniform_over=uniform_over)


def test_more_images_than_the_dataset_has_where_they_are_drawn_with_replacement() -> None:
    (batch,) = epoch(FullRandom(LABELS, 9, seed=0), 0)
    assert len(batch) == 9
