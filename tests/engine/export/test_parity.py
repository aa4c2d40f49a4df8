"""The difference between two sets of embeddings, against NumPy."""

import math

import numpy as np
import pytest
import torch

from engine.export.parity import NUM_RANDOM, largest_difference, random_batches


def test_unit_embeddings_are_compared_by_their_components() -> None:
    rng = np.random.default_rng(0)
    ours = rng.standard_normal((7, 5))
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    theirs = ours + rng.standard_normal((7, 5)) * 1e-3
    found = largest_difference(torch.from_numpy(ours), torch.from_numpy(theirs))
    assert found == pytest.approx(np.abs(ours - theirs).max())


def test_long_embeddings_are_compared_in_units_of_the_longest() -> None:
    ours = np.array([[30.0, 40.0], [0.3, 0.4]])
    theirs = ours + np.array([[0.0, 1.0], [0.0, 0.0]])
    assert largest_difference(torch.from_numpy(ours), torch.from_numpy(theirs)) == pytest.approx(
        1 / 50
    )


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_finite_or_of_another_shape_differs_without_bound(wrong: float) -> None:
    ours = torch.eye(3)
    theirs = torch.eye(3)
    assert largest_difference(ours, theirs) == 0
    theirs[1, 2] = wrong
    assert largest_difference(ours, theirs) == math.inf
    assert largest_difference(ours, torch.eye(3)[:, :2]) == math.inf


def test_random_images_are_the_same_each_time_and_end_with_a_smaller_batch() -> None:
    first, second = ([images for images, _ in random_batches((3, 6, 4))] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert sum(map(len, first)) == NUM_RANDOM
    assert 0 < len(first[-1]) < len(first[0])
    assert first[0].dtype == torch.uint8
    assert first[0].shape[1:] == (3, 6, 4)
