"""The base of the samplers that plan their batches from stored embeddings."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import Sampler

from core.grouping import Grouping
from core.ranges import PositiveInt, Seed
from core.types import Embeddings
from datasampler.planning.stored_embeddings import StoredEmbeddings

PLAN = 2  # separates these random numbers from those of augmentations


class EmbeddingSampler(Sampler[list[int]], ABC):
    """Base of the samplers of P classes x K images that plan a batch from stored embeddings.

    A subclass states how it plans one batch. The batches of epoch e are a function of
    (seed, e, rows of the storage at the start of e); each has a random stream of its own. A batch
    is planned when it is asked for, on the device of the rows.

    Args:
        labels: class of every training image, (S,).
        batch_size: images per batch, a multiple of `samples_per_class`.
        samples_per_class: K >= 1.
        seed: of the draws; the global random state is not used.
        storage: the stored embeddings; None is `StoredEmbeddings()`.
        replacement: whether classes and images of a batch may repeat.

    Raises:
        ValueError: no such batch exists.
    """

    def __init__(
        self,
        labels: ArrayLike,
        batch_size: PositiveInt,
        samples_per_class: PositiveInt,
        seed: Seed,
        storage: StoredEmbeddings | None = None,
        replacement: bool = False,
    ) -> None:
        self.images = Grouping(labels)
        self.classes_per_batch = self.images.per_batch(batch_size, samples_per_class, replacement)
        self.batch_size, self.samples_per_class = batch_size, samples_per_class
        self.seed, self.replacement, self.epoch = seed, replacement, 0
        self.storage = StoredEmbeddings() if storage is None else storage
        if not replacement:
            self.images.warn_of_repeats(samples_per_class)

    @abstractmethod
    def plan(self, embeddings: Embeddings, rng: np.random.Generator) -> np.ndarray:
        """The images of one batch, (P, K) or (B,), from the embeddings of all images, (S, D)."""

    def complete(self, rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
        """Add K - 1 images of its class to each point of a batch, (P,) -> (P, K)."""
        if not self.replacement:
            return self.images.complete(rng, points, self.samples_per_class)
        classes = self.images.codes[points]
        others = self.images.draw_with_replacement(rng, classes, self.samples_per_class - 1)
        return np.column_stack([points, others])

    @property
    def num_images(self) -> int:
        return len(self.images.codes)

    def set_epoch(self, epoch: int) -> None:
        self.storage.begin_epoch(epoch)
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, self.num_images // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        # training reports a network that diverges; until then its embeddings count as 0
        embeddings = self.storage.rows().nan_to_num(0, 0, 0)
        epoch = self.epoch
        for number in range(len(self)):
            rng = np.random.default_rng((self.seed, epoch, number, PLAN))
            with one_thread():
                batch = self.plan(embeddings, rng)
            yield batch.ravel().tolist()


def project(points: Tensor, dim: int | None, rng: np.random.Generator) -> Tensor:
    """Projects points (M, D) to `dim` dimensions by a random map, which about keeps distances.

    Its entries are drawn from N(0, 1 / dim); None returns the points.
    """
    if dim is None:
        return points
    entries = rng.standard_normal((points.shape[1], dim), dtype=np.float32) / dim**0.5
    return points @ torch.from_numpy(entries).to(points)


@contextmanager
def one_thread() -> Iterator[None]:
    """Computes with one thread: several would wait for one another at each small matrix.

    The batches do not depend on the number of threads, either.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
