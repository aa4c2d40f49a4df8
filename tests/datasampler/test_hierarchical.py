"""What batches of few categories promise."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from pytorch_metric_learning.samplers import HierarchicalSampler

from datasampler.hierarchical import Hierarchical
from tests.samplers import assert_distribution, epoch

# class c has 3 images and is of category c % 4, but class 0 has 2 images
LABELS = np.repeat(np.arange(24), 3)[1:]
CATEGORIES = np.array(["fan", "cup", "bed", "mug"])[LABELS % 4]
SHUFFLED = np.random.default_rng(0).permutation(len(LABELS))
LABELS, CATEGORIES = LABELS[SHUFFLED], CATEGORIES[SHUFFLED]


def sampler(
    batch_size: int = 12, samples_per_class: object = 3, labels: object = LABELS, **changes: int
) -> Hierarchical:
    return Hierarchical(
        labels,
        CATEGORIES,
        batch_size,
        samples_per_class,
        **{"seed": 0} | changes,
    )


def categories_of(batch: list[int]) -> tuple[str, ...]:
    return tuple(sorted(set(CATEGORIES[batch].tolist())))


@pytest.mark.parametrize("categories_per_batch", [1, 2, 3])
def test_every_combination_of_categories_has_its_batches(categories_per_batch: int) -> None:
    drawn = sampler(18, 3, categories_per_batch=categories_per_batch, batches_per_combination=5)
    times = Counter(categories_of(batch) for batch in epoch(drawn, 0))
    pairs = combinations(sorted(set(CATEGORIES.tolist())), categories_per_batch)
    assert times == dict.fromkeys(pairs, 5)


def test_combinations_are_in_random_order() -> None:
    first = [categories_of(epoch(sampler(), number)[0]) for number in range(300)]
    pairs = list(combinations(sorted(set(CATEGORIES.tolist())), 2))
    assert_distribution(first, dict.fromkeys(pairs, 1 / 6))


def test_a_batch_has_equal_parts_of_distinct_classes_and_images() -> None:
    for number in range(20):
        for batch in epoch(sampler(), number):
            assert len(batch) == 12
            assert sorted(Counter(CATEGORIES[batch].tolist()).values()) == [6, 6]
            assert sorted(Counter(LABELS[batch].tolist()).values()) == [3, 3, 3, 3]
            repeated = [image for image, times in Counter(batch).items() if times > 1]
            assert all(LABELS[image] == 0 for image in repeated)  # it has but two images
            assert (LABELS[batch].reshape(4, 3) == LABELS[batch].reshape(4, 3)[:, :1]).all()


def test_classes_of_a_category_and_images_of_a_class_are_equally_likely() -> None:
    drawn = [
        batch for number in range(60) for batch in epoch(sampler(8, samples_per_class=2), number)
    ]
    images = np.concatenate(drawn)
    cups = [label for label in range(24) if label % 4 == 1]
    of_cups = [int(LABELS[batch[place]]) for batch in drawn for place in (0, 4)]
    assert_distribution(
        [label for label in of_cups if label % 4 == 1], dict.fromkeys(cups, 1 / len(cups))
    )
    of_class = np.flatnonzero(LABELS == 5).tolist()
    assert_distribution(
        [image for image in images.tolist() if image in of_class], dict.fromkeys(of_class, 1 / 3)
    )


SIZES = np.array([5, 1, 4, 2, 9, 3, 6, 2, 1, 1, 7, 3])  # of classes 0 to 11
UNEVEN = np.repeat(np.arange(12), SIZES)
HALVES = np.where(UNEVEN < 6, "left", "right")


def test_all_images_of_a_class_while_they_fit() -> None:
    """In each half at most one class is divided, and no other class had fitted beside the rest."""
    drawn = Hierarchical(UNEVEN, HALVES, 20, "all", seed=0, batches_per_combination=8)
    divided = 0
    for number in range(50):
        for batch in epoch(drawn, number):
            assert len(batch) == len(set(batch)) == 20
            for half, classes in (("left", range(6)), ("right", range(6, 12))):
                times = Counter(UNEVEN[[i for i in batch if HALVES[i] == half]].tolist())
                assert sum(times.values()) == 10
                parts = [label for label in times if times[label] < SIZES[label]]
                assert len(parts) <= 1
                places = sum(times[label] for label in parts)
                others = [label for label in classes if label not in times] + parts
                assert not places or all(SIZES[label] > places for label in others)
                divided += len(parts)
    assert divided > 100


def test_a_class_that_fills_a_part_alone() -> None:
    (batch,) = epoch(Hierarchical(UNEVEN, HALVES, 2, "all", seed=3, batches_per_combination=1), 0)
    assert sorted(HALVES[batch].tolist()) == ["left", "right"]


@pytest.mark.parametrize("samples_per_class", [3, "all"])
def test_batches_are_as_those_of_pytorch_metric_learning(samples_per_class: object) -> None:
    """Equal sizes of all classes but one, where its batches are full too."""
    keep = LABELS != 0
    labels, names = LABELS[keep], CATEGORIES[keep]
    numbers = np.unique(names, return_inverse=True)[1]
    theirs = HierarchicalSampler(np.stack([labels, numbers], axis=1), 12, samples_per_class)
    ours = Hierarchical(labels, names, 12, samples_per_class, seed=0)
    assert len(theirs) == len(ours) == 24
    summaries = [
        Counter(
            (
                tuple(sorted(set(numbers[batch].tolist()))),
                *sorted(Counter(labels[batch].tolist()).values()),
            )
            for batch in batches
        )
        for batches in (list(theirs), epoch(ours, 0))
    ]
    assert summaries[0] == summaries[1]


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        ((10, 3), {}, "must be a positive multiple of categories_per_batch=2 times samples_per_"),
        ((42, 3), {}, "takes 7 classes of a category, and category bed has 6; choose a smaller"),
        ((38, "all"), {}, "takes 19 images of a category, and category fan has 17"),
        ((15, 3), {"categories_per_batch": 5}, r"categories_per_batch=5 must lie in 1\.\.4"),
        ((12, 3), {"batches_per_combination": 0}, "batches_per_combination=0 must be at least 1"),
    ],
)
def test_a_batch_that_cannot_exist_is_one_line(
    arguments: tuple[int, object], changes: dict[str, int], message: str
) -> None:
    """PML yields smaller batches where a category has too few classes."""
    with pytest.raises(ValueError, match=message) as error:
        sampler(*arguments, **changes)
    assert "\n" not in str(error.value)


def test_too_many_combinations_are_refused() -> None:
    many = np.arange(100)
    with pytest.raises(ValueError, match="of 100 categories have 75287520 combinations, more than"):
        Hierarchical(many, many, 5, 1, seed=0, categories_per_batch=5)
