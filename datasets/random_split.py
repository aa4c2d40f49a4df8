"""Random splits of labelled images: unseen classes for testing, queries among the images."""

from collections.abc import Iterable

import numpy as np

from core.ranges import OpenFraction, Seed
from datasets.table import DatasetError, class_numbers


def split_by_classes(labels: Iterable[object], fraction: OpenFraction, seed: Seed) -> np.ndarray:
    """Split `train` or `test` of each image: a random fraction of the classes is for testing.

    Each split has at least one class.

    Raises:
        DatasetError: there are fewer than two classes.
    """
    numbers = class_numbers(labels)
    num_classes = len(np.unique(numbers))
    if num_classes < 2:
        raise DatasetError(f"a split by classes needs two classes, there are {num_classes}")
    num_test = min(max(round(fraction * num_classes), 1), num_classes - 1)
    test = np.random.default_rng(seed).permutation(num_classes)[:num_test]
    return np.where(np.isin(numbers, test), "test", "train")


def random_queries(labels: Iterable[object], fraction: OpenFraction, seed: Seed) -> np.ndarray:
    """Whether each image is a query: a random fraction of the images of each class, at least one.

    The others are the gallery, at least one of each class of two images. The only image of a class
    is in the gallery.
    """
    numbers = class_numbers(labels)
    order = np.random.default_rng(seed).permutation(len(numbers))
    order = order[np.argsort(numbers[order], kind="stable")]  # random within each class
    sizes = np.bincount(numbers)
    position = np.arange(len(numbers)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    wanted = np.clip(np.rint(fraction * sizes), 1, sizes - 1)
    is_query = np.empty(len(numbers), bool)
    is_query[order] = position < np.repeat(wanted, sizes)
    return is_query
