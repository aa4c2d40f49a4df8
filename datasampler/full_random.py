"""Random batches with a positive pair: Roth et al. 2020, https://arxiv.org/abs/2002.08473."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from core.grouping import Grouping
from core.ranges import PositiveInt, Seed


class FullRandom(Sampler[list[int]]):
    """Full random sampler: B - 1 random images, and one more of the class of one of them.

    `uniform_over` says how the B - 1 images are drawn:

        classes  a class, all equally likely, then one of its images; both with replacement. The
                 last image may be the one whose class it shares.
        images   distinct images, all equally likely. The last one is another image of the class, if
                 possible one that is not in the batch; it is the same only if there is no other.

    An epoch has max(1, ⌊S / B⌋) batches. Epoch e depends only on (seed, e).

    Differences:
        Roth et al. 2020: `uniform_over="classes"` is what their code does, `"images"` what the
            name says.

    Args:
        labels: class of every training image, (S,).
        batch_size: B >= 2 images per batch; at most S if they are distinct.
        seed: of the draws; the global random state is not used.
        uniform_over: whether all classes or all images are equally likely.

    Raises:
        ValueError: no such batch exists.
    """

    def __init__(
        self,
        labels: ArrayLike,
        batch_size: PositiveInt,
        seed: Seed,
        uniform_over: Literal["classes", "images"] = "classes",
    ) -> None:
        if uniform_over not in ("classes", "images"):
            raise ValueError(f"{uniform_over=} must be classes or images")
        self.images = Grouping(labels)
        self.num_images = len(self.images.codes)
        if batch_size < 2:
            raise ValueError(f"{batch_size=} must be at least 2, for a positive pair")
        if uniform_over == "images" and batch_size > self.num_images:
            raise ValueError(f"{batch_size=} must lie in 2..{self.num_images}, the training images")
        self.batch_size, self.uniform_over = batch_size, uniform_over
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, self.num_images // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        draw = self._by_class if self.uniform_over == "classes" else self._by_image
        for _ in range(len(self)):
            yield draw(rng)

    def _by_class(self, rng: np.random.Generator) -> list[int]:
        classes = rng.integers(len(self.images), size=self.batch_size - 1)
        classes = np.append(classes, rng.choice(classes))
        picks = rng.integers(self.images.sizes[classes])
        drawn: list[int] = self.images.at(classes, picks[:, None]).ravel().tolist()
        return drawn

    def _by_image(self, rng: np.random.Generator) -> list[int]:
        drawn: list[int] = rng.choice(self.num_images, self.batch_size - 1, replace=False).tolist()
        anchor = int(rng.choice(drawn))
        others = np.setdiff1d(self.images.members(self.images.codes[anchor]), [anchor])
        new = np.setdiff1d(others, drawn)
        choices = new if len(new) else others if len(others) else [anchor]
        return [*drawn, int(rng.choice(choices))]
