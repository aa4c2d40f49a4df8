"""Batches of pairs from two streams, such as sketches and photographs of the same classes."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from core.grouping import Grouping
from core.ranges import PositiveInt, Seed


class TwoStream(Sampler[list[int]]):
    """Two-stream sampler: yields pairs a, b, a, b, ...: a from the queries, b from the gallery.

    A batch has P = `batch_size` / (2 K) distinct classes and K = `pairs_per_class` pairs of each:
    K distinct images of either stream; a class repeats images of a stream in which it has fewer
    than K. Classes without images in both streams are left out. Epoch e depends only on (seed, e).

    Args:
        labels: class of every training image, (S,).
        is_query: whether a training image is in the first stream, (S,).
        is_gallery: whether it is in the second stream, (S,); no image is in both.
        batch_size: images per batch, a multiple of 2 K.
        pairs_per_class: K >= 1.
        seed: of the draws; the global random state is not used.

    Raises:
        ValueError: the training images are not divided into streams, or no such batch exists.
    """

    layout = "pairs"

    def __init__(
        self,
        labels: ArrayLike,
        is_query: ArrayLike,
        is_gallery: ArrayLike,
        batch_size: PositiveInt,
        pairs_per_class: PositiveInt,
        seed: Seed,
    ) -> None:
        labels, streams = np.asarray(labels), [np.asarray(is_query), np.asarray(is_gallery)]
        if (both := int((streams[0] & streams[1]).sum())) or not all(s.any() for s in streams):
            raise ValueError(
                "two streams are needed: each training image is a query or in the gallery (columns "
                f"is_query and is_gallery of the dataset), and {both} of {len(labels)} are both"
            )
        classes = np.intersect1d(labels[streams[0]], labels[streams[1]])
        self.streams = [np.flatnonzero(stream & np.isin(labels, classes)) for stream in streams]
        self.classes = [Grouping(labels[stream]) for stream in self.streams]
        self.classes_per_batch, rest = divmod(batch_size, 2 * pairs_per_class)
        if rest or not 1 <= self.classes_per_batch <= len(classes):
            raise ValueError(
                f"{batch_size=} must be a multiple of 2 x {pairs_per_class=} and at most "
                f"{2 * pairs_per_class * len(classes)}, the pairs of {len(classes)} classes, those "
                "with images in both streams"
            )
        self.num_images, self.num_classes = len(labels), len(classes)
        self.batch_size, self.pairs_per_class = batch_size, pairs_per_class
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, self.num_images // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        for _ in range(len(self)):
            classes = rng.choice(self.num_classes, self.classes_per_batch, replace=False)
            drawn = [
                stream[by_class.draw(rng, classes, self.pairs_per_class)]
                for stream, by_class in zip(self.streams, self.classes, strict=True)
            ]
            yield np.stack(drawn, axis=-1).ravel().tolist()
