"""One split of a dataset as torch sees it: images, and what is known about each."""

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
    """Yields (image, label): uint8 RGB (3, H, W) in 0..255, and a label in 0..C-1.

    `images[i]` draws its augmentation from torch's global generator. `images[i, seed]` is a pure
    function of the pair and leaves that generator alone: the same in any worker, in any order.
    The backbone normalises, on the device.

    Args:
        table: the rows of one split; see datasets/table.py.
        transform: PIL image -> uint8 tensor (3, H, W).
        cache: of the images after the fixed steps of `transform`; None reads the files.
        on_device: whether loaders leave decoding and the transform to the device; `images[i]` does
            not.

    Attributes:
        labels: int64 (S,), 0..C-1 in the order of the classes, see `in_order`.
        class_names: the C labels of the table, in that order.
        is_query, is_gallery: bool (S,), whether an image searches and whether it can be found.
        categories: S super-classes, empty text if there are none.
    """

    def __init__(
        self,
        table: Table,
        transform: Transform,
        cache: Cache | None = None,
        on_device: bool = False,
    ) -> None:
        self.labels, self.class_names = class_numbers(table["label"]), in_order(table["label"])
        self.paths = table["path"].tolist()
        self.is_query = table["is_query"].to_numpy(bool, copy=True)
        self.is_gallery = table["is_gallery"].to_numpy(bool, copy=True)
        self.categories = table["category"].tolist()
        self.transform, self.cache, self.on_device = transform, cache, on_device

    @property
    def roles(self) -> tuple[Tensor, Tensor]:
        """`is_query` and `is_gallery` as bool tensors (S,)."""
        return torch.from_numpy(self.is_query), torch.from_numpy(self.is_gallery)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, item: int | tuple[int, int]) -> tuple[Tensor, int]:
        if not isinstance(item, tuple):
            return self._load(item)
        index, seed = item
        with drawing_from(seed):
            return self._load(index)

    def prepared(self, index: int) -> Image:
        """An image after the fixed steps: what a cache holds."""
        if self.cache is not None:
            return self.cache[index]
        return self.transform.prepare(read_image(self.paths[index]))

    def _load(self, index: int) -> tuple[Tensor, int]:
        return self.transform.finish(self.prepared(index)), int(self.labels[index])


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """What torch draws on the host follows from the seed; afterwards it goes on as before."""
    with torch.random.fork_rng(devices=[]):
        # not torch.manual_seed, which would reseed every GPU as well
        torch.default_generator.manual_seed(seed)
        yield
