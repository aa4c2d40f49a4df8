"""Pairs of two streams: sketches and others of the same classes."""

import numpy as np
import pytest

from datasampler.two_stream import TwoStream

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3])
SKETCH = np.array([1, 1, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 1], bool)  # class 3 has no photograph


def sampler(seed: int = 0, batch_size: int = 8, pairs: int = 2, both: bool = False) -> TwoStream:
    others = ~SKETCH | both
    return TwoStream(LABELS, SKETCH, others, batch_size, pairs, seed)


def epoch(sampler: TwoStream, number: int) -> np.ndarray:
    sampler.set_epoch(number)
    return np.array(list(sampler))


def test_a_batch_is_pairs_of_both_streams_of_distinct_classes() -> None:
    for number in range(30):
        for batch in epoch(sampler(), number):
            first, second = batch[0::2], batch[1::2]
            assert SKETCH[first].all()
            assert not SKETCH[second].any()
            assert (LABELS[first] == LABELS[second]).all()
            classes = LABELS[first].reshape(2, 2)
            assert (classes[:, 0] == classes[:, 1]).all()
            assert classes[0, 0] != classes[1, 0]
            for stream in (first.reshape(2, 2), second.reshape(2, 2)):
                repeats = [a == b for a, b in stream]
                assert repeats == [
                    bool(label == 1 and SKETCH[a])
                    for label, a in zip(classes[:, 0], stream[:, 0], strict=True)
                ]


def test_every_image_of_a_class_with_both_streams_is_drawn() -> None:
    drawn = {int(i) for number in range(60) for i in epoch(sampler(), number).ravel()}
    assert drawn == set(np.flatnonzero(LABELS != 3).tolist())


def test_an_epoch_is_a_function_of_seed_and_number() -> None:
    first, second = epoch(sampler(), 0), epoch(sampler(), 1)
    assert (epoch(sampler(), 1) == second).all()
    assert (first != second).any()
    assert (first != epoch(sampler(seed=1), 0)).any()


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match="7 of 13 are both"):
        sampler(both=True)
    with pytest.raises(ValueError, match="at most 12, the pairs of 3 classes"):
        sampler(batch_size=16)
    with pytest.raises(ValueError, match="multiple of 2 x"):
        sampler(batch_size=6)
