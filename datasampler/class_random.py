"""P classes x K images: Roth et al. 2020, https://arxiv.org/abs/2002.08473."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from core.grouping import Grouping
from core.ranges import PositiveInt, Seed


class ClassRandom(Sampler[list[int]]):
    """P x K sampler: yields batches of P = batch_size / samples_per_class classes, K images each.

    The classes and the images of a batch are distinct; only a class of fewer than K images repeats
    its images, equally often up to one. Epoch e depends only on (seed, e).

    Differences:
        Roth et al. 2020: draw both with replacement, `replacement=True`; about 5 % of the positive
            pairs of their CUB200 runs are an image with itself.
        pytorch-metric-learning: `MPerClassSampler` with a batch size draws all K images with
            replacement if the class has fewer. Its `length_before_new_iter` is the number of images
            between two evaluations, `trainer.evaluate_every_iterations` batches in a run.

    Args:
        labels: class of every training image, (S,).
        batch_size: images per batch, a multiple of `samples_per_class`.
        samples_per_class: K >= 1; an anchor has a positive from 2 on.
        seed: of the draws; the global random state is not used.
        replacement: whether to draw classes and images with replacement.

    Raises:
        ValueError: no such batch exists.
    """

    def __init__(
        self,
        labels: ArrayLike,
        batch_size: PositiveInt,
        samples_per_class: PositiveInt,
        seed: Seed,
        replacement: bool = False,
    ) -> None:
        self.images = Grouping(labels)
        self.classes_per_batch = self.images.per_batch(batch_size, samples_per_class, replacement)
        self.batch_size, self.samples_per_class = batch_size, samples_per_class
        self.seed, self.replacement, self.epoch = seed, replacement, 0
        if not replacement:
            self.images.warn_of_repeats(samples_per_class)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, len(self.images.codes) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        for _ in range(len(self)):
            classes = rng.choice(len(self.images), self.classes_per_batch, replace=self.replacement)
            yield self._draw(rng, classes).ravel().tolist()

    def _draw(self, rng: np.random.Generator, classes: np.ndarray) -> np.ndarray:
        """Draws K images of each of the classes (P,), (P, K)."""
        if self.replacement:
            return self.images.draw_with_replacement(rng, classes, self.samples_per_class)
        return self.images.draw(rng, classes, self.samples_per_class)
