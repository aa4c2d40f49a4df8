"""Batches in which every class has one turn: Hermans et al. 2017, https://arxiv.org/abs/1703.07737."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from core.grouping import Grouping
from core.ranges import PositiveInt, Seed


class Balance(Sampler[list[int]]):
    """Balance sampler: every class is in at most one batch of an epoch, with K images.

    The classes are shuffled and divided into batches of P = batch_size / samples_per_class; an
    incomplete last one is dropped, so that an epoch has ⌊C / P⌋ batches. The images of a class are
    distinct; a class of fewer than K images repeats its images, equally often up to one. Epoch e
    depends only on (seed, e).

    Differences:
        open-metric-learning: `BalanceSampler` draws a class that is too small with replacement,
            after each of its images once.
        Hyp-ViT: Ermolov et al., CVPR 2022, draw all K images with replacement if the class has
            fewer, and from a generator without a seed.

    Args:
        labels: class of every training image, (S,).
        batch_size: images per batch, a multiple of `samples_per_class`.
        samples_per_class: K >= 1; an anchor has a positive from 2 on.
        seed: of the draws; the global random state is not used.

    Raises:
        ValueError: no such batch exists.
    """

    def __init__(
        self, labels: ArrayLike, batch_size: PositiveInt, samples_per_class: PositiveInt, seed: Seed
    ) -> None:
        self.images = Grouping(labels)
        self.classes_per_batch = self.images.per_batch(batch_size, samples_per_class)
        self.samples_per_class, self.seed, self.epoch = samples_per_class, seed, 0
        self.images.warn_of_repeats(samples_per_class)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.images) // self.classes_per_batch

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        classes = rng.permutation(len(self.images))[: len(self) * self.classes_per_batch]
        for batch in classes.reshape(-1, self.classes_per_batch):
            yield self.images.draw(rng, batch, self.samples_per_class).ravel().tolist()
