"""Several classes of several categories, as in open-metric-learning's `CategoryBalanceSampler`."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from core.hierarchy import Hierarchy
from core.ranges import PositiveInt, Seed


class CategoryBalance(Sampler[list[int]]):
    """Category balance sampler: draws categories, then classes of each, then K images of each.

    A batch of B images has G = `categories_per_batch` distinct categories with equally many
    distinct classes, L = B / (G K) each, and K distinct images of each class; a class of fewer than
    K images repeats its images, equally often up to one. The batches are drawn independently of one
    another, ⌈C / L⌉ in an epoch of C classes. Epoch e depends only on (seed, e).

    Differences:
        open-metric-learning: G, L and K are the arguments `n_categories`, `n_labels` and
            `n_instances`, `weighted` is `weight_categories`, `repeat_classes` is `resample_labels`.
            What is too small is drawn with replacement, after each of its members once.

    Args:
        labels: class of every training image, (S,).
        categories: super-class of every training image, (S,); `core.hierarchy` says what a class
            of several categories is.
        batch_size: B, a multiple of G K.
        samples_per_class: K >= 1; an anchor has a positive from 2 on.
        seed: of the draws; the global random state is not used.
        categories_per_batch: G.
        weighted: whether categories are drawn, one after the other, in proportion to their number
            of classes; otherwise all are equally likely.
        repeat_classes: whether a category of fewer than L classes repeats them, equally often up to
            one, with other images each time; otherwise it is an error.

    Raises:
        ValueError: no such batch exists.
    """

    def __init__(
        self,
        labels: ArrayLike,
        categories: ArrayLike,
        batch_size: PositiveInt,
        samples_per_class: PositiveInt,
        seed: Seed,
        categories_per_batch: PositiveInt = 2,
        weighted: bool = True,
        repeat_classes: bool = False,
    ) -> None:
        hierarchy = Hierarchy(labels, categories)
        self.images, self.classes = hierarchy.images, hierarchy.classes
        self.classes_per_category = hierarchy.classes_per_category(
            batch_size, samples_per_class, categories_per_batch
        )
        if not repeat_classes:
            hierarchy.check_classes(self.classes_per_category)
        self.images.warn_of_repeats(samples_per_class)
        sizes = self.classes.sizes if weighted else np.ones(len(self.classes))
        self.probabilities = sizes / sizes.sum()
        self.samples_per_class = samples_per_class
        self.categories_per_batch = categories_per_batch
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.images) // self.classes_per_category)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        for _ in range(len(self)):
            categories = rng.choice(
                len(self.classes), self.categories_per_batch, replace=False, p=self.probabilities
            )
            classes = self.classes.draw(rng, categories, self.classes_per_category).ravel()
            yield self.images.draw(rng, classes, self.samples_per_class).ravel().tolist()
