"""Candidates are batches of P classes x K images of the big batch, whose classes are balanced."""

from collections import Counter

import numpy as np
import pytest

from core.grouping import Grouping
from datasampler.planning.candidate_sampler import CandidateBatches, draw_candidates

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(12), 20))


def candidates(
    labels: np.ndarray = LABELS, size: int = 96, replacement: bool = False, seed: int = 0
) -> CandidateBatches:
    rng = np.random.default_rng(seed)
    return draw_candidates(rng, Grouping(labels), size, 5, 6, 4, replacement)


@pytest.mark.parametrize("size", [24, 40, 96, 200])
def test_a_candidate_is_p_classes_of_k_images_within_the_big_batch(size: int) -> None:
    for seed in range(20):
        images, places = candidates(size=size, seed=seed)
        assert len(images) == len(set(images.tolist())) == size
        per_class = Counter(LABELS[images].tolist())
        assert max(per_class.values()) - min(per_class.values()) <= 4
        assert len(per_class) == min(12, size // 4)
        assert places.shape == (5, 24)
        for place in places:
            assert len(set(place.tolist())) == 24
            blocks = LABELS[images[place]].reshape(6, 4)
            assert (blocks == blocks[:, :1]).all()
            assert len(set(blocks[:, 0].tolist())) == 6


def test_small_classes_make_the_big_batch_smaller_and_repeat_within_a_candidate() -> None:
    labels = np.repeat(np.arange(120), 2)
    images, places = candidates(labels, size=96)
    assert len(images) == len(set(images.tolist())) == 48
    for place in places:
        assert set(Counter(place.tolist()).values()) == {2}


def test_with_replacement_classes_and_images_repeat() -> None:
    images, places = candidates(size=200, replacement=True)
    assert len(images) == 200 > len(set(images.tolist()))
    blocks = LABELS[images[places]].reshape(5, 6, 4)
    assert (blocks == blocks[..., :1]).all()
    assert any(len(set(row.tolist())) < 6 for row in blocks[..., 0])
    assert all(len(set(block.tolist())) == 4 for block in places.reshape(-1, 4))


def test_every_image_and_every_class_is_equally_likely() -> None:
    drawn = [candidates(size=24, seed=seed) for seed in range(600)]
    big = np.concatenate([images for images, _ in drawn])
    chosen = np.concatenate([images[places[0]] for images, places in drawn])
    for images in (big, chosen):
        counts = np.bincount(images, minlength=len(LABELS))
        assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 324  # p = 1e-4, 239 degrees
