"""Shuffled batches, as of a `DataLoader` of PyTorch with `shuffle` and `drop_last`."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from core.ranges import PositiveInt, Seed


class Random(Sampler[list[int]]):
    """Random sampler: yields the shuffled training images in batches; drops an incomplete last one.

    Every image is at most once in an epoch. Epoch e depends only on (seed, e).

    Args:
        labels: class of every training image, (S,); only their number matters.
        batch_size: images per batch, at most S.
        seed: of the shuffling; the global random state is not used.
    """

    def __init__(self, labels: ArrayLike, batch_size: PositiveInt, seed: Seed) -> None:
        self.num_images = len(np.asarray(labels))
        if not 1 <= batch_size <= self.num_images:
            raise ValueError(f"{batch_size=} must lie in 1..{self.num_images}, the training images")
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_images // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        images = rng.permutation(self.num_images)[: len(self) * self.batch_size]
        yield from images.reshape(-1, self.batch_size).tolist()
