"""Categories, their classes and the images of those."""

import logging

import numpy as np
import pytest

from core.hierarchy import Hierarchy

LABELS = [3, 3, 3, 0, 0, 1, 1, 2, 2]
CATEGORIES = ["toy", "car", "toy", "car", "car", "toy", "car", "toy", "toy"]


def test_a_class_belongs_to_the_category_of_most_of_its_images(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Class 1 has one image of each: the first in sorted order."""
    with caplog.at_level(logging.WARNING):
        hierarchy = Hierarchy(LABELS, CATEGORIES)
    assert hierarchy.classes.names.tolist() == ["car", "toy"]
    assert hierarchy.classes.codes.tolist() == [0, 0, 1, 1]
    assert hierarchy.images.sizes.tolist() == [2, 2, 2, 3]
    assert [message.rpartition(": ")[2] for message in caplog.messages] == ["2"]


def test_any_dataset_against_a_count(caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    labels, categories = rng.integers(0, 40, 300), rng.integers(10, 15, 300)
    hierarchy = Hierarchy(labels, categories)
    for label in range(40):
        own = categories[labels == label].tolist()
        expected = max(sorted(set(own)), key=own.count)
        assert hierarchy.classes.names[hierarchy.classes.codes[label]] == expected
    caplog.clear()
    Hierarchy(labels, labels // 10)
    assert not caplog.messages


def test_one_category_for_each_image() -> None:
    with pytest.raises(ValueError, match="9 labels need as many categories"):
        Hierarchy(LABELS, CATEGORIES[:-1])


def test_the_parts_of_a_batch() -> None:
    hierarchy = Hierarchy(LABELS, CATEGORIES)
    assert hierarchy.classes_per_category(8, samples_per_class=2, categories_per_batch=2) == 2
    for sizes in ((6, 2, 2), (0, 2, 2), (8, 0, 2), (8, 2, 0)):
        with pytest.raises(ValueError, match="must be a positive multiple of categories_per_batch"):
            hierarchy.classes_per_category(*sizes)
    with pytest.raises(ValueError, match=r"categories_per_batch=3 must lie in 1\.\.2"):
        hierarchy.classes_per_category(12, 2, 3)


def test_a_category_that_is_too_small_is_named() -> None:
    hierarchy = Hierarchy([0, 1, 2, 3, 3], ["b", "b", "a", "b", "b"])
    hierarchy.check_classes(1)
    hierarchy.check_images(1)
    with pytest.raises(ValueError, match="takes 2 classes of a category, and category a has 1;"):
        hierarchy.check_classes(2)
    with pytest.raises(ValueError, match="takes 4 images of a category, and category a has 1;"):
        hierarchy.check_images(4)
