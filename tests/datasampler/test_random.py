"""What plain shuffling promises."""

import numpy as np
import pytest

from datasampler.random import Random

LABELS = np.zeros(25, int)


def epoch(number: int, seed: int = 0) -> list[list[int]]:
    sampler = Random(LABELS, batch_size=8, seed=seed)
    sampler.set_epoch(number)
    assert len(sampler) == 3
    return list(sampler)


def test_every_image_at_most_once_and_the_rest_is_dropped() -> None:
    batches = epoch(0)
    assert [len(batch) for batch in batches] == [8, 8, 8]
    assert len({index for batch in batches for index in batch}) == 24


def test_every_image_has_its_turn() -> None:
    left_out = {24 * 25 // 2 - sum(map(sum, epoch(number))) for number in range(300)}
    assert left_out == set(range(25))


def test_an_epoch_is_a_function_of_seed_and_number_only() -> None:
    assert epoch(1) == epoch(1)
    assert epoch(1) != epoch(0)
    assert epoch(1) != epoch(1, seed=1)


@pytest.mark.parametrize("batch_size", [0, 26])
def test_a_batch_that_cannot_exist_is_one_line(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"{batch_size=} must lie in 1..25"):
        Random(LABELS, batch_size, seed=0)
