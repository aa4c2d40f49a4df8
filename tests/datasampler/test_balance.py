"""What a balanced epoch promises: every class has at most one turn."""

from collections import Counter

import numpy as np
import pytest
from pytorch_metric_learning.samplers import MPerClassSampler

from datasampler.balance import Balance
from tests.samplers import assert_distribution, epoch

LABELS = np.repeat([7, 2, 9, 4, 5, 8, 0, 1], [5, 5, 5, 5, 5, 5, 5, 2])
np.random.default_rng(0).shuffle(LABELS)


def balance(batch_size: int = 9, samples_per_class: int = 3) -> Balance:
    return Balance(LABELS, batch_size, samples_per_class, seed=0)


def test_each_class_is_in_at_most_one_batch_of_an_epoch() -> None:
    """8 classes are 2 batches of 3; over many epochs each class is left out equally often."""
    left_out = []
    for number in range(400):
        batches = epoch(balance(), number)
        assert [len(batch) for batch in batches] == [9, 9]
        turns = Counter(LABELS[np.concatenate(batches)].tolist())
        assert set(turns.values()) == {3}
        assert len(turns) == 6
        assert all(len(set(LABELS[batch].tolist())) == 3 for batch in batches)
        left_out += sorted(set(LABELS.tolist()) - set(turns))
    assert_distribution(left_out, dict.fromkeys(set(LABELS.tolist()), 1 / 8))


def test_every_class_where_the_batches_divide_them() -> None:
    drawn = np.concatenate(epoch(balance(batch_size=12), 0))
    assert set(LABELS[drawn].tolist()) == set(LABELS.tolist())


def test_images_are_distinct_and_equally_likely_unless_the_class_is_too_small() -> None:
    drawn = []
    for number in range(300):
        for batch in epoch(balance(), number):
            times = Counter(batch)
            assert all(
                count == 1 or (LABELS[image] == 1 and count == 2) for image, count in times.items()
            )
            drawn += [image for image in batch if LABELS[image] == 9]
    assert_distribution(drawn, dict.fromkeys(np.flatnonzero(LABELS == 9).tolist(), 1 / 5))


def test_batches_are_as_those_of_pytorch_metric_learning() -> None:
    """MPerClassSampler with a batch size: distinct classes, the same number of images of each."""
    flat = list(MPerClassSampler(LABELS, 3, batch_size=9, length_before_new_iter=18))
    for batches in (np.array(flat).reshape(2, 9).tolist(), epoch(balance(), 0)):
        for batch in batches:
            assert sorted(Counter(LABELS[batch].tolist()).values()) == [3, 3, 3]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((8, 3), "batch_size=8 must be a positive multiple of samples_per_class=3"),
        ((27, 3), "needs 9 classes, there are 8"),
    ],
)
def test_a_batch_that_cannot_exist_is_one_line(sizes: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        balance(*sizes)
    assert "\n" not in str(error.value)
