"""Each class in its turn, as in open-metric-learning's `DistinctCategoryBalanceSampler`."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from core.hierarchy import Hierarchy
from core.ranges import PositiveInt, Seed


class DistinctCategoryBalance(Sampler[list[int]]):
    """Distinct category balance sampler: draws categories, and of each those classes not yet drawn.

    A batch of B images has G = `categories_per_batch` distinct categories with equally many
    distinct classes, L = B / (G K) each, and K distinct images of each class; a class of fewer than
    K images repeats its images, equally often up to one.

    The categories are drawn uniformly from those with a class that was not yet drawn. If fewer than
    L of a category are left, classes drawn before complete them. Once fewer than G categories
    have any left, all classes count as not drawn again, as they do at the start of an epoch. Epoch
    e depends only on (seed, e).

    Differences:
        open-metric-learning: G, L and K are the arguments `n_categories`, `n_labels` and
            `n_instances`, `epoch_length` is `epoch_size`. A class that is too small is drawn with
            replacement, after each of its images once.

    Args:
        labels: class of every training image, (S,).
        categories: super-class of every training image, (S,); `core.hierarchy` says what a class
            of several categories is.
        batch_size: B, a multiple of G K.
        samples_per_class: K >= 1; an anchor has a positive from 2 on.
        seed: of the draws; the global random state is not used.
        categories_per_batch: G.
        epoch_length: batches of an epoch; None is max(1, ⌊S / B⌋).

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
        epoch_length: PositiveInt | None = None,
    ) -> None:
        hierarchy = Hierarchy(labels, categories)
        self.images, self.classes = hierarchy.images, hierarchy.classes
        self.classes_per_category = hierarchy.classes_per_category(
            batch_size, samples_per_class, categories_per_batch
        )
        hierarchy.check_classes(self.classes_per_category)
        if epoch_length is not None and epoch_length < 1:
            raise ValueError(f"{epoch_length=} must be at least 1")
        self.images.warn_of_repeats(samples_per_class)
        self.samples_per_class = samples_per_class
        self.categories_per_batch = categories_per_batch
        self.epoch_length = epoch_length or max(1, len(self.images.codes) // batch_size)
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.epoch_length

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        queues: list[Queue] = []
        for _ in range(len(self)):
            left = [queue for queue in queues if queue.left]
            if len(left) < self.categories_per_batch:
                queues = left = [
                    Queue(rng, self.classes.members(category))
                    for category in range(len(self.classes))
                ]
            chosen = rng.choice(len(left), self.categories_per_batch, replace=False)
            classes = [left[number].draw(rng, self.classes_per_category) for number in chosen]
            drawn = self.images.draw(rng, np.concatenate(classes), self.samples_per_class)
            yield drawn.ravel().tolist()


class Queue:
    """Queue: the classes of a category in random order; each is drawn before any is drawn again."""

    def __init__(self, rng: np.random.Generator, classes: np.ndarray) -> None:
        self.order, self.used = rng.permutation(classes), 0

    @property
    def left(self) -> int:
        """Number of classes that were not drawn."""
        return len(self.order) - self.used

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw distinct classes (count,): those not yet drawn, completed by random earlier ones."""
        earlier, new = self.order[: self.used], self.order[self.used :][:count]
        self.used += len(new)
        again = rng.choice(earlier, count - len(new), replace=False)
        return np.concatenate([new, again])
