"""Candidates for a batch: batches of P classes x K images within a big batch."""

from typing import NamedTuple

import numpy as np

from core.grouping import Grouping, distinct


class CandidateBatches(NamedTuple):
    """A big batch and candidates for a batch, which are parts of it."""

    images: np.ndarray  # (M,) images of the big batch
    places: np.ndarray  # (T, B) places of the images of each candidate in the big batch


def check_candidates(size: int, batch_size: int, number: int) -> None:
    """Check that a big batch holds a batch, and that there is a candidate."""
    if size < batch_size or number < 1:
        raise ValueError(
            f"big_batch_size={size} must be at least {batch_size=}, and num_candidates={number} "
            "at least 1"
        )


def draw_candidates(
    rng: np.random.Generator,
    images: Grouping,
    size: int,
    number: int,
    classes_per_batch: int,
    samples_per_class: int,
    replacement: bool,
) -> CandidateBatches:
    """Draws a big batch by classes, and candidates of P classes x K images within it.

    The big batch holds `size` / K times K images of a class. All classes take part equally often up
    to one. Its images are distinct, so that it is smaller than `size` if classes are small; those
    of each candidate are distinct, too, except where a class has fewer than K.

    Args:
        rng: the random numbers.
        images: all images by class.
        size: M, images of the big batch.
        number: T, number of candidates.
        classes_per_batch: P.
        samples_per_class: K.
        replacement: whether classes and images of the big batch, and classes of a candidate, are
            drawn with replacement.
    """
    big = _big_batch(rng, images, size // samples_per_class, samples_per_class, replacement)
    within = Grouping(images.codes[big])
    num_classes = len(within.sizes)
    if replacement:
        classes = rng.integers(num_classes, size=(number, classes_per_batch))
    else:
        order = rng.random((number, num_classes)).argsort(axis=1)
        classes = order[:, :classes_per_batch]
    picks = distinct(rng, within.sizes[classes.ravel()], samples_per_class)
    return CandidateBatches(big, within.at(classes.ravel(), picks).reshape(number, -1))


def _big_batch(
    rng: np.random.Generator, images: Grouping, groups: int, count: int, replacement: bool
) -> np.ndarray:
    num_classes = len(images.sizes)
    if replacement:
        classes = rng.integers(num_classes, size=groups)
        return images.draw_with_replacement(rng, classes, count).ravel()
    rounds = -(-groups // num_classes)
    classes = rng.permutation(num_classes)[:groups]
    drawn = images.draw(rng, classes, rounds * count).reshape(len(classes), rounds, count)
    return np.unique(drawn.swapaxes(0, 1).reshape(-1, count)[:groups])
