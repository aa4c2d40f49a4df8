"""Pairs of random images of a class: Roth et al. 2020, https://arxiv.org/abs/2002.08473."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from core.grouping import Grouping
from core.ranges import PositiveInt, Seed


class SemiClassRandom(Sampler[list[int]]):
    """Semi-class random sampler: B / 2 random images, each followed by another image of its class.

    All images are equally likely, so that a class is drawn in proportion to its size and may be in
    a batch several times. The images of a batch are distinct, except where a class has fewer than
    are drawn of it: then it repeats them, equally often up to one. An epoch has max(1, ⌊S / B⌋)
    batches. Epoch e depends only on (seed, e).

    Differences:
        Roth et al. 2020: their code draws with replacement, `replacement=True`, so that a pair may
            be one image twice. None of their runs uses it.

    Args:
        labels: class of every training image, (S,).
        batch_size: B images per batch, an even number; B / 2 is at most S without replacement.
        seed: of the draws; the global random state is not used.
        replacement: whether to draw both images of a pair with replacement.

    Raises:
        ValueError: no such batch exists.
    """

    def __init__(
        self, labels: ArrayLike, batch_size: PositiveInt, seed: Seed, replacement: bool = False
    ) -> None:
        self.images = Grouping(labels)
        self.num_images, self.num_pairs = len(self.images.codes), batch_size // 2
        if batch_size < 2 or batch_size % 2:
            raise ValueError(f"{batch_size=} must be even: pairs of images of one class")
        if self.num_pairs > self.num_images and not replacement:
            raise ValueError(f"{batch_size=} must be at most twice the {self.num_images} images")
        self.batch_size, self.replacement = batch_size, replacement
        self.seed, self.epoch = seed, 0
        if not replacement:
            self.images.warn_of_repeats(2)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, self.num_images // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        for _ in range(len(self)):
            drawn = rng.choice(self.num_images, self.num_pairs, replace=self.replacement)
            yield self._pairs(rng, drawn).ravel().tolist()

    def _pairs(self, rng: np.random.Generator, drawn: np.ndarray) -> np.ndarray:
        """Pairs of images (B / 2, 2) of the classes of the images drawn."""
        classes = self.images.codes[drawn]
        if not self.replacement:  # which images of its class does not depend on the first draw
            return self.images.draw(rng, classes, 2)
        partners = rng.integers(self.images.sizes[classes])
        return np.column_stack([drawn, self.images.at(classes, partners[:, None])])
