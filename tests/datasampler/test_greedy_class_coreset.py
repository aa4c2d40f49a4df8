"""Greedy class coreset: every image is the farthest of its class from those before it."""

import numpy as np
import pytest
import torch

from datasampler import greedy_class_coreset
from datasampler.greedy_class_coreset import GreedyClassCoreset, farthest_first
from tests.samplers import assert_distribution, epoch

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(15), np.arange(2, 17)))
ROWS = np.random.default_rng(1).standard_normal((len(LABELS), 3)).astype(np.float32)


def sampler(**changes: object) -> GreedyClassCoreset:
    built = GreedyClassCoreset(
        LABELS, **({"batch_size": 40, "samples_per_class": 4, "seed": 0} | changes)
    )
    built.storage.fill(torch.from_numpy(ROWS))
    return built


def nearest(image: int, others: list[int]) -> float:
    return min(float(((ROWS[image] - ROWS[other]) ** 2).sum()) for other in others)


@pytest.mark.parametrize("numbers", [2**24, 100])
def test_every_image_is_the_farthest_of_its_class(
    numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if few embeddings are in memory at once."""
    monkeypatch.setattr(greedy_class_coreset, "MAX_NUMBERS", numbers)
    for number in range(10):
        for batch in epoch(sampler(), number):
            for images in np.reshape(batch, (10, 4)).tolist():
                members = np.flatnonzero(LABELS[images[0]] == LABELS).tolist()
                for place in range(1, min(4, len(members))):
                    before = images[:place]
                    left = [image for image in members if image not in before]
                    best = max(left, key=lambda image: nearest(image, before))
                    assert images[place] == best


def test_a_small_class_repeats_its_images_in_their_order() -> None:
    small = [
        images
        for number in range(10)
        for batch in epoch(sampler(), number)
        for images in np.reshape(batch, (10, 4)).tolist()
        if LABELS[images[0]] in (0, 1)
    ]
    assert small
    for images in small:
        size = (LABELS[images[0]] == LABELS).sum()
        assert len(set(images)) == size
        assert images[size:] == images[: 4 - size]


def test_classes_and_first_images_are_equally_likely() -> None:
    blocks = [
        images
        for number in range(300)
        for batch in epoch(sampler(), number)
        for images in np.reshape(batch, (10, 4)).tolist()
    ]
    classes = LABELS[[images[0] for images in blocks]].tolist()
    assert_distribution(classes, dict.fromkeys(range(15), 1 / 15))
    members = np.flatnonzero(LABELS == 4).tolist()
    firsts = [images[0] for images in blocks if images[0] in members]
    assert_distribution(firsts, {image: 1 / len(members) for image in members})


def test_points_on_a_line_are_selected_from_the_outside() -> None:
    points = torch.tensor([[[0.0], [1], [2], [10]], [[5.0], [4], [9], [0]]])
    valid = torch.tensor([[True] * 4, [True, True, True, False]])
    selected = farthest_first(points, valid, torch.tensor([0, 1]), 3)
    assert selected.tolist() == [[0, 3, 2], [1, 2, 0]]


def test_equal_images_are_selected_once_each() -> None:
    points, valid = torch.zeros(1, 4, 2), torch.tensor([[True, True, True, False]])
    selected = farthest_first(points, valid, torch.tensor([1]), 3)
    assert sorted(selected[0].tolist()) == [0, 1, 2]
