"""Images of every class, of which a batch draws K."""

import numpy as np
from numpy.typing import ArrayLike

from datasampler.class_random import distinct


class ClassImages:
    """Images grouped by class: draws K images of a class, or completes one image to K of its class.

    The K images are distinct; only a class of fewer than K images repeats its images, equally often
    up to one.

    Args:
        labels: class of every image, (S,).

    Attributes:
        codes: (S,) class of every image as a number in 0..C-1, in the order of the labels.
        sizes: (C,) number of images of every class.
    """

    def __init__(self, labels: ArrayLike) -> None:
        self.codes = np.unique(np.asarray(labels), return_inverse=True)[1]
        self.sizes = np.bincount(self.codes)
        self.by_class = np.argsort(self.codes, kind="stable")  # class c from starts[c] on
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.places = np.empty_like(self.by_class)  # of every image within its class
        self.places[self.by_class] = (
            np.arange(len(self.by_class)) - self.starts[self.codes[self.by_class]]
        )

    def draw(
        self, rng: np.random.Generator, classes: np.ndarray, count: int, replacement: bool = False
    ) -> np.ndarray:
        """Draws K = `count` images of each class, (P,) -> (P, K); `replacement` may repeat them."""
        sizes = self.sizes[classes]
        if replacement:
            picks = rng.integers(sizes[:, None], size=(len(classes), count))
        else:
            picks = distinct(rng, sizes, count)
        return self._images(classes, picks)

    def complete(
        self, rng: np.random.Generator, images: np.ndarray, count: int, replacement: bool = False
    ) -> np.ndarray:
        """Adds images of its class to each image until they are K = `count`, (P,) -> (P, K).

        Column 0 holds the given images. With `replacement` the others may repeat it and one
        another.
        """
        classes = self.codes[images]
        if replacement:
            others = self.draw(rng, classes, count - 1, replacement=True)
            return np.column_stack([images, others])
        picks = distinct(rng, self.sizes[classes], count, first=self.places[images])
        return self._images(classes, picks)

    def _images(self, classes: np.ndarray, picks: np.ndarray) -> np.ndarray:
        images: np.ndarray = self.by_class[self.starts[classes][:, None] + picks]
        return images
