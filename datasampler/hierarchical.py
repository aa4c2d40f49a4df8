"""Batches of few categories: Cakir et al., Deep Metric Learning to Rank, CVPR 2019.

https://openaccess.thecvf.com/content_CVPR_2019/html/Cakir_Deep_Metric_Learning_to_Rank_CVPR_2019_paper.html
"""

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from core.hierarchy import Hierarchy
from core.ranges import PositiveInt, Seed

MOST = 10**6  # combinations of categories


class Hierarchical(Sampler[list[int]]):
    """Hierarchical sampler: batches of classes from few categories, so that negatives are similar.

    Every combination of `categories_per_batch` categories has `batches_per_combination` batches in
    an epoch, in random order: 66 x 4 = 264 for pairs of the 12 categories of Stanford Online
    Products. A batch has equally many images of each of its categories, class after class. Classes
    and images are distinct; a class of fewer than K images repeats its images, equally often up to
    one. Epoch e depends only on (seed, e).

    With `samples_per_class=all` a batch has whole classes, in random order, as far as they fit; the
    first that did not fit fills the remaining places with some of its images.

    Differences:
        pytorch-metric-learning: `HierarchicalSampler`, with the arguments `batches_per_super_tuple`
            and `super_classes_per_batch`, yields smaller batches where a category has too few
            classes or no other whole class fits, and draws all K images with replacement if the
            class has fewer.

    Args:
        labels: class of every training image, (S,).
        categories: super-class of every training image, (S,); `core.hierarchy` says what a class
            of several categories is.
        batch_size: images per batch, a multiple of `categories_per_batch` x `samples_per_class`.
        samples_per_class: K >= 1 images of a class, or all of them.
        seed: of the draws; the global random state is not used.
        batches_per_combination: batches of one combination of categories in an epoch.
        categories_per_batch: categories of a batch.

    Raises:
        ValueError: no such batch exists, a category has too few classes or images for it, or there
            are more than a million combinations.
    """

    def __init__(
        self,
        labels: ArrayLike,
        categories: ArrayLike,
        batch_size: PositiveInt,
        samples_per_class: PositiveInt | Literal["all"],
        seed: Seed,
        batches_per_combination: PositiveInt = 4,
        categories_per_batch: PositiveInt = 2,
    ) -> None:
        hierarchy = Hierarchy(labels, categories)
        self.images, self.classes = hierarchy.images, hierarchy.classes
        self.samples_per_class = 1 if samples_per_class == "all" else samples_per_class
        self.classes_per_category = hierarchy.classes_per_category(
            batch_size, self.samples_per_class, categories_per_batch
        )
        if batches_per_combination < 1:
            raise ValueError(f"{batches_per_combination=} must be at least 1")
        if (number := comb(len(self.classes), categories_per_batch)) > MOST:
            raise ValueError(
                f"{categories_per_batch=} of {len(self.classes)} categories have {number} "
                f"combinations, more than {MOST}"
            )
        self.images_per_category = batch_size // categories_per_batch
        self.whole_classes = samples_per_class == "all"
        if self.whole_classes:
            hierarchy.check_images(self.images_per_category)
        else:
            hierarchy.check_classes(self.classes_per_category)
            self.images.warn_of_repeats(self.samples_per_class)
        self.combinations = list(combinations(range(len(self.classes)), categories_per_batch))
        self.batches_per_combination = batches_per_combination
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.combinations) * self.batches_per_combination

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        draw = self._whole_classes if self.whole_classes else self._parts_of_classes
        for number in rng.permutation(len(self)):
            yield draw(rng, self.combinations[number // self.batches_per_combination])

    def _parts_of_classes(self, rng: np.random.Generator, categories: tuple[int, ...]) -> list[int]:
        classes = self.classes.draw(rng, np.array(categories), self.classes_per_category).ravel()
        drawn: list[int] = self.images.draw(rng, classes, self.samples_per_class).ravel().tolist()
        return drawn

    def _whole_classes(self, rng: np.random.Generator, categories: tuple[int, ...]) -> list[int]:
        parts = [self._whole_classes_of(rng, category) for category in categories]
        drawn: list[int] = np.concatenate(parts).tolist()
        return drawn

    def _whole_classes_of(self, rng: np.random.Generator, category: int) -> np.ndarray:
        """Images of whole classes of a category, and of one that did not fit."""
        drawn: list[np.ndarray] = []
        too_large: list[np.ndarray] = []
        places = self.images_per_category
        for number in rng.permutation(self.classes.members(category)):
            images = self.images.members(number)
            if len(images) > places:
                too_large.append(images)
                continue
            drawn.append(images)
            places -= len(images)
            if not places:
                return np.concatenate(drawn)
        return np.concatenate([*drawn, rng.choice(too_large[0], places, replace=False)])
