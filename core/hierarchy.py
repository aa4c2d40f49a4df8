"""Hierarchy of a dataset: categories (super-classes), their classes, and the images of those."""

import logging

import numpy as np
from numpy.typing import ArrayLike

from core.grouping import Grouping

log = logging.getLogger(__name__)


class Hierarchy:
    """Hierarchy: groups the training images by class, and the classes by category.

    A class whose images have several categories belongs to the one of most of its images, the
    first in sorted order among equals.

    Args:
        labels: class of every training image, (S,).
        categories: category of every training image, (S,), numbers or text.

    Attributes:
        images: the images of each of the C classes.
        classes: the classes, 0..C-1, of each category.
    """

    def __init__(self, labels: ArrayLike, categories: ArrayLike) -> None:
        self.images = Grouping(labels)
        names, codes = np.unique(np.asarray(categories), return_inverse=True)
        if len(codes) != len(self.images.codes):
            raise ValueError(f"{len(self.images.codes)} labels need as many categories: one each")
        self.classes = Grouping(names[_most_frequent(self.images.codes, codes, len(names))])

    def classes_per_category(
        self, batch_size: int, samples_per_class: int, categories_per_batch: int
    ) -> int:
        """Classes that each category contributes to a batch of equal parts.

        Raises:
            ValueError: the batch cannot be divided so, or there are not so many categories.
        """
        if min(batch_size, samples_per_class, categories_per_batch) < 1 or (
            batch_size % (samples_per_class * categories_per_batch)
        ):
            raise ValueError(
                f"{batch_size=} must be a positive multiple of {categories_per_batch=} times "
                f"{samples_per_class=}"
            )
        if categories_per_batch > len(self.classes):
            raise ValueError(
                f"{categories_per_batch=} must lie in 1..{len(self.classes)}, the categories"
            )
        return batch_size // (samples_per_class * categories_per_batch)

    def check_classes(self, wanted: int) -> None:
        """Check that every category has so many classes.

        Raises:
            ValueError: names the category with the fewest.
        """
        self._check(self.classes.sizes, wanted, "classes")

    def check_images(self, wanted: int) -> None:
        """Check that every category has so many images.

        Raises:
            ValueError: names the category with the fewest.
        """
        images = np.bincount(self.classes.codes, weights=self.images.sizes).astype(int)
        self._check(images, wanted, "images")

    def _check(self, sizes: np.ndarray, wanted: int, unit: str) -> None:
        smallest = int(sizes.argmin())
        if sizes[smallest] < wanted:
            raise ValueError(
                f"a batch takes {wanted} {unit} of a category, and category "
                f"{self.classes.names[smallest]} has {sizes[smallest]}; choose a smaller "
                "batch_size or more categories_per_batch"
            )


def _most_frequent(classes: np.ndarray, categories: np.ndarray, num_categories: int) -> np.ndarray:
    """Category of most images of each class, (C,)."""
    pairs, counts = np.unique(classes * num_categories + categories, return_counts=True)
    of_class, category = np.divmod(pairs, num_categories)
    order = np.lexsort((category, -counts, of_class))  # the largest count of each class first
    _, first, kinds = np.unique(of_class[order], return_index=True, return_counts=True)
    if several := int((kinds > 1).sum()):
        log.warning(
            "classes with images of several categories count to the most frequent: %d", several
        )
    return category[order][first]
