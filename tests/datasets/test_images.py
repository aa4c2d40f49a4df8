"""A split as torch sees it, and its augmentation as a pure function of a seed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from datasets.cub200 import cub200
from datasets.images import Images
from datasets.table import Table, make_table
from datasets.transforms import Transforms, adv, base, musgrave, small


@pytest.fixture
def table(cub200_tree: Path) -> Table:
    return cub200(str(cub200_tree))


def test_an_item_is_an_rgb_tensor_and_a_label(table: Table) -> None:
    image, label = Images(table, base().eval)[5]
    assert type(image) is torch.Tensor
    assert (image.dtype, image.shape) == (torch.uint8, (3, 224, 224))
    assert (type(label), label) == (int, 1)


def test_labels_are_numbered_in_sorted_order_within_the_split(table: Table) -> None:
    test = Images(table[table["split"] == "test"].iloc[::-1], base().eval)
    assert test.labels.dtype == np.int64
    assert test.labels.tolist() == [3] * 4 + [2] * 4 + [1] * 4 + [0] * 4
    assert test.class_names == ["005.Bird_D", "006.Bird_C", "007.Bird_B", "008.Bird_A"]


def test_numbers_are_sorted_as_numbers() -> None:
    images = Images(make_table(["a", "b", "c"], [10, 9, 100], "train"), base().eval)
    assert (images.class_names, images.labels.tolist()) == (["9", "10", "100"], [1, 0, 2])


def test_what_is_known_about_each_image() -> None:
    table = make_table(
        ["a", "b"], 0, "test", is_query=[True, False], is_gallery=True, category=["x", "y"]
    )
    images = Images(table, base().eval)
    assert images.is_query.tolist() == [True, False]
    assert images.categories == ["x", "y"]
    assert [role.tolist() for role in images.roles] == [[True, False], [True, True]]
    assert len(images) == 2


@pytest.mark.parametrize("transforms", [base(32, 40), adv(32, 40), musgrave(32, 40), small()])
def test_a_seed_decides_the_augmentation(table: Table, transforms: Transforms) -> None:
    images = Images(table, transforms.train)
    first, _ = images[0, 2**62 + 1]
    torch.rand(3)
    assert torch.equal(images[0, 2**62 + 1][0], first)
    assert any(not torch.equal(images[0, seed][0], first) for seed in range(5))


def test_a_seeded_item_leaves_the_global_generator_alone(table: Table) -> None:
    images = Images(table, base(32, 40).train)
    torch.manual_seed(1)
    expected = torch.rand(4)
    torch.manual_seed(1)
    images[0, 7]
    assert torch.equal(torch.rand(4), expected)


def test_an_unseeded_item_follows_the_global_generator(table: Table) -> None:
    images = Images(table, base(32, 40).train)
    torch.manual_seed(1)
    first, second = images[0][0], images[0][0]
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(images[0][0], first)


def test_batches_are_the_same_with_any_number_of_workers(table: Table) -> None:
    images = Images(table, adv(32, 40).train)
    draws = [[(index, 1000 * index + batch) for index in range(8)] for batch in range(4)]
    runs = []
    for workers in (0, 1, 2):
        torch.manual_seed(workers)
        loader = DataLoader(images, batch_sampler=draws, num_workers=workers)
        runs.append(torch.cat([batch for batch, _ in loader]))
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])
