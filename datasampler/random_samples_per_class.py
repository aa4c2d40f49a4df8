"""Random numbers of images of each class: https://github.com/ZRStea/pytorch-online-metric-learning."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from core.grouping import Grouping
from core.ranges import PositiveInt, Seed


class RandomSamplesPerClass(Sampler[list[int]]):
    """Random samples per class: yields batches with a random number of images of each class.

    Classes are drawn one after the other until the batch is full. Of each, a number of images is
    drawn, uniform from `least` to `most`; of the last class as many as still fit. The classes and
    the images of a batch are distinct, and classes of a single image are left out. An epoch has
    max(1, ⌊S / B⌋) batches. Epoch e depends only on (seed, e).

    Differences:
        pytorch-online-metric-learning: the same, and the order of the batch is random. It draws 5
            to 10 images on CUB200, and on In-Shop `least="half", most="all"`.

    Args:
        labels: class of every training image, (S,).
        batch_size: B images per batch.
        seed: of the draws; the global random state is not used.
        least: smallest number of images of a class; half is half of its images, at least one. A
            class of fewer gives all of them.
        most: largest number of images of a class; all has no limit.

    Raises:
        ValueError: `least` is above `most`, or the classes could have too few images for a batch.
    """

    def __init__(
        self,
        labels: ArrayLike,
        batch_size: PositiveInt,
        seed: Seed,
        least: PositiveInt | Literal["half"] = 5,
        most: PositiveInt | Literal["all"] = 10,
    ) -> None:
        self.images = Grouping(labels)
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        sizes = self.images.sizes
        self.classes = np.flatnonzero(sizes > 1)
        self.most = sizes if most == "all" else np.minimum(sizes, most)
        self.least = np.minimum(self.most, sizes // 2 if least == "half" else least)
        if least != "half" and most != "all" and least > most:
            raise ValueError(f"{least=} must be at most {most=}")
        available = int(self.least[self.classes].sum())
        if not 1 <= batch_size <= available:
            raise ValueError(
                f"{batch_size=} must be between 1 and {available}: the {len(self.classes)} classes "
                f"of more than one image give no more with {least=}"
            )

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, len(self.images.codes) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        for _ in range(len(self)):
            yield self._draw(rng)[: self.batch_size].tolist()

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        """Images of as many classes as a batch needs."""
        classes = rng.permutation(self.classes)
        counts = rng.integers(self.least[classes], self.most[classes], endpoint=True)
        num_classes = 1 + int(np.searchsorted(np.cumsum(counts), self.batch_size))
        classes, counts = classes[:num_classes], counts[:num_classes]
        drawn = self.images.draw(rng, classes, int(counts.max()))
        images: np.ndarray = drawn[np.arange(drawn.shape[1]) < counts[:, None]]
        return images
