"""Torch dataset of one split: images, labels and their roles in retrieval."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import Dataset

from datasets.cache import Cache
from datasets.reader import read_image
from datasets.table import Table, class_numbers, in_order
from datasets.transforms import Transform


class Images(Dataset[tuple[Tensor, int]]):
    """Images of a split: yields (image, label), uint8 RGB (3, H, W) and a label in 0..C-1.

    `images[i]` draws its augmentation from torch's global generator. `images[i, seed]` depends on
    the pair alone and does not change that generator, so that it is the same in every worker and
    order. The backbone normalizes, on the device.

    Args:
        table: the rows of one split; see datasets/table.py.
        transform: PIL image -> uint8 tensor (3, H, W).
        cache: the images after the deterministic operations of `transform`; None reads the files.
        on_device: whether loaders decode and transform on the device; `images[i]` never does.

    Attributes:
        labels: int64 (S,), 0..C-1 in the order of the classes, see `in_order`.
        class_names: the C labels of the table, in that order.
        rows: (S,), rows of the images in the table of the dataset.
        is_query, is_gallery: bool (S,), whether an image is a query and whether it is in the
            gallery.
        categories: S super-classes, empty text if there are none.
    """

    in_memory = False  # whether loading takes no time, so that no process has to do it ahead

    def __init__(
        self,
        table: Table,
        transform: Transform,
        cache: Cache | None = None,
        on_device: bool = False,
    ) -> None:
        self.labels, self.class_names = class_numbers(table["label"]), in_order(table["label"])
        self.paths, self.rows = table["path"].tolist(), table.index.to_numpy()
        self.is_query = table["is_query"].to_numpy(bool, copy=True)
        self.is_gallery = table["is_gallery"].to_numpy(bool, copy=True)
        self.categories = table["category"].tolist()
        self.transform, self.cache, self.on_device = transform, cache, on_device

    @property
    def roles(self) -> tuple[Tensor, Tensor]:
        """Roles of the images: `is_query` and `is_gallery` as bool tensors (S,)."""
        return torch.from_numpy(self.is_query), torch.from_numpy(self.is_gallery)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, item: int | tuple[int, int]) -> tuple[Tensor, int]:
        if not isinstance(item, tuple):
            return self._load(item)
        index, seed = item
        with seeded(seed):
            return self._load(index)

    def prepared(self, index: int) -> Image:
        """The image after the deterministic operations, as the cache holds it."""
        if self.cache is not None:
            return self.cache[index]
        return self.transform.apply_deterministic(read_image(self.paths[index]))

    def _load(self, index: int) -> tuple[Tensor, int]:
        return self.transform.apply_random(self.prepared(index)), int(self.labels[index])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's generator of the CPU in a `with` block, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        # not torch.manual_seed, which would reseed every GPU as well
        torch.default_generator.manual_seed(seed)
        yield
