"""What a P x K batch promises, batch by batch."""

import logging
from collections import Counter

import numpy as np
import pytest

from core.grouping import distinct
from datasampler.class_random import ClassRandom

LABELS = np.array([3] * 10 + [7] * 10 + [5] * 10 + [0] * 10 + [9] * 2)  # class 9 is small
np.random.default_rng(0).shuffle(LABELS)


def sampler(labels: np.ndarray = LABELS, seed: int = 0, **changes: object) -> ClassRandom:
    return ClassRandom(labels, **{"batch_size": 12, "samples_per_class": 4, "seed": seed} | changes)


def epoch(sampler: ClassRandom, number: int) -> list[list[int]]:
    sampler.set_epoch(number)
    return list(sampler)


def test_a_batch_is_p_distinct_classes_of_k_images() -> None:
    for number in range(50):
        batches = epoch(sampler(), number)
        assert len(batches) == len(sampler()) == len(LABELS) // 12
        for batch in batches:
            groups = np.array(batch).reshape(3, 4)
            classes = [set(LABELS[group].tolist()) for group in groups]
            assert all(len(group) == 1 for group in classes)
            assert len(set.union(*classes)) == 3


def test_no_image_twice_unless_its_class_is_too_small() -> None:
    for number in range(50):
        for batch in epoch(sampler(), number):
            for index, times in Counter(batch).items():
                assert times == (2 if LABELS[index] == 9 else 1)


def test_a_class_that_is_too_small_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        list(sampler())
        assert caplog.messages == ["classes of fewer than 4 images repeat some: 1"]
    caplog.clear()
    sampler(batch_size=10, samples_per_class=2)
    assert not caplog.messages


def test_an_epoch_is_a_function_of_seed_and_number_only() -> None:
    uninterrupted = sampler()
    first, second = epoch(uninterrupted, 0), epoch(uninterrupted, 1)
    np.random.seed(5)  # noqa: NPY002 - the global state must not matter
    assert second == epoch(sampler(), 1)
    assert first == epoch(uninterrupted, 0)
    assert second != first
    assert first != epoch(sampler(seed=1), 0)


def test_every_class_and_every_image_of_a_class_is_equally_likely() -> None:
    """Chi-square against the uniform distribution, 4 and 9 degrees of freedom, p = 1e-4."""
    batches = np.array([batch for number in range(700) for batch in epoch(sampler(), number)])
    per_class = np.array([(LABELS[batches] == label).sum() / 4 for label in np.unique(LABELS)])
    assert ((per_class - per_class.mean()) ** 2 / per_class.mean()).sum() < 23.5
    per_image = np.bincount(batches.ravel(), minlength=len(LABELS))[LABELS == 5]
    assert ((per_image - per_image.mean()) ** 2 / per_image.mean()).sum() < 33.7


def test_draws_are_independent_of_their_order_in_the_batch() -> None:
    """Every ordered pair of distinct images is drawn equally often, p = 1e-4."""
    picks = distinct(np.random.default_rng(0), np.full(12_000, 5), 2)
    pairs = np.bincount(picks @ [5, 1], minlength=25).reshape(5, 5)
    assert not pairs.diagonal().any()
    assert ((pairs[~np.eye(5, dtype=bool)] - 600) ** 2 / 600).sum() < 50.8  # 19 degrees of freedom


@pytest.mark.parametrize("size", range(1, 12))
def test_positions_are_distinct_as_far_as_a_class_allows(size: int) -> None:
    for picks in distinct(np.random.default_rng(size), np.full(200, size), 7):
        times = np.bincount(picks, minlength=size)
        assert len(times) == size
        assert times.max() - times.min() <= 1
        assert times.sum() == 7


def test_replacement_repeats_classes_and_images_as_roth_et_al_did() -> None:
    labels = np.repeat(np.arange(100), 20)
    drawn = sampler(labels, batch_size=20, samples_per_class=2, replacement=True)
    pairs = np.array([batch for number in range(40) for batch in epoch(drawn, number)])
    pairs = pairs.reshape(-1, 10, 2)
    assert (labels[pairs[..., 0]] == labels[pairs[..., 1]]).all()
    identical = (pairs[..., 0] == pairs[..., 1]).mean()
    assert identical == pytest.approx(1 / 20, abs=0.006)  # 40 000 pairs: 5 standard errors
    repeated = np.mean([10 - len(set(labels[batch[:, 0]].tolist())) for batch in pairs])
    assert repeated == pytest.approx(10 - 100 * (1 - 0.99**10), abs=0.06)


def test_fewer_images_than_a_batch_still_make_one_batch() -> None:
    assert len(sampler(np.repeat([0, 1, 2], 2))) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 10}, "batch_size=10 must be a positive multiple of samples_per_class=4"),
        ({"samples_per_class": 0}, "samples_per_class=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 24}, "batch_size=24 with samples_per_class=4 needs 6 classes, there are 5"),
    ],
)
def test_a_batch_that_cannot_exist_is_one_line(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        sampler(**changes)
    assert "\n" not in str(error.value)
