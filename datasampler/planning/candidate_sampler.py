"""The base of the samplers that choose among candidates: batches within a big batch."""

from abc import abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from core.grouping import Grouping, distinct
from core.ranges import PositiveInt, Seed
from core.types import Embeddings
from datasampler.planning.embedding_sampler import EmbeddingSampler, project
from datasampler.planning.stored_embeddings import StoredEmbeddings


class CandidateSampler(EmbeddingSampler):
    """Base of the samplers that take the candidate of the smallest cost, the first of several.

    For every batch, a big batch of about M images is drawn by classes, and T candidates of P
    classes x K images within it. A subclass states the cost of a candidate.

    Args:
        labels, batch_size, samples_per_class, seed, storage, replacement: see `EmbeddingSampler`.
        big_batch_size: M, at least `batch_size`.
        num_candidates: T.
        projection_dim: dimensions of a random Gaussian projection of the big batch, drawn for every
            batch; None uses the embeddings.

    Raises:
        ValueError: the big batch does not hold a batch, or there is no candidate.
    """

    def __init__(
        self,
        labels: ArrayLike,
        batch_size: PositiveInt,
        samples_per_class: PositiveInt,
        seed: Seed,
        big_batch_size: PositiveInt,
        num_candidates: PositiveInt,
        projection_dim: PositiveInt | None,
        replacement: bool,
        storage: StoredEmbeddings | None,
    ) -> None:
        super().__init__(labels, batch_size, samples_per_class, seed, storage, replacement)
        if big_batch_size < batch_size or num_candidates < 1:
            raise ValueError(
                f"{big_batch_size=} must be at least {batch_size=}, and {num_candidates=} at "
                "least 1"
            )
        self.big_batch_size, self.num_candidates = big_batch_size, num_candidates
        self.projection_dim = projection_dim

    @abstractmethod
    def costs(self, big: Embeddings, places: Tensor) -> Tensor:
        """Costs of candidates: embeddings (M, D) of the big batch, places (T, B) in it -> (T,)."""

    def plan(self, embeddings: Embeddings, rng: np.random.Generator) -> np.ndarray:
        images, places = draw_candidates(
            rng,
            self.images,
            self.big_batch_size,
            self.num_candidates,
            self.classes_per_batch,
            self.samples_per_class,
            self.replacement,
        )
        big = project(embeddings[torch.from_numpy(images)], self.projection_dim, rng)
        costs = self.costs(big, torch.from_numpy(places).to(big.device))
        batch: np.ndarray = images[places[int(costs.argmin())]]
        return batch


class CandidateBatches(NamedTuple):
    """A big batch and candidates for a batch, which are parts of it."""

    images: np.ndarray  # (M,) images of the big batch
    places: np.ndarray  # (T, B) places of the images of each candidate in the big batch


def draw_candidates(
    rng: np.random.Generator,
    images: Grouping,
    size: int,
    number: int,
    classes_per_batch: int,
    samples_per_class: int,
    replacement: bool,
) -> CandidateBatches:
    """Draws a big batch by classes, and candidates of P classes x K images within it.

    The big batch holds `size` / K times K images of a class. All classes take part equally often up
    to one. Its images are distinct, so that it is smaller than `size` if classes are small; those
    of each candidate are distinct, too, except where a class has fewer than K.

    Args:
        rng: the random numbers.
        images: all images by class.
        size: M, images of the big batch.
        number: T, number of candidates.
        classes_per_batch: P.
        samples_per_class: K.
        replacement: whether classes and images of the big batch, and classes of a candidate, are
            drawn with replacement.
    """
    big = _big_batch(rng, images, size // samples_per_class, samples_per_class, replacement)
    within = Grouping(images.codes[big])
    num_classes = len(within.sizes)
    if replacement:
        classes = rng.integers(num_classes, size=(number, classes_per_batch))
    else:
        order = rng.random((number, num_classes)).argsort(axis=1)
        classes = order[:, :classes_per_batch]
    picks = distinct(rng, within.sizes[classes.ravel()], samples_per_class)
    return CandidateBatches(big, within.at(classes.ravel(), picks).reshape(number, -1))


def _big_batch(
    rng: np.random.Generator, images: Grouping, groups: int, count: int, replacement: bool
) -> np.ndarray:
    num_classes = len(images.sizes)
    if replacement:
        classes = rng.integers(num_classes, size=groups)
        return images.draw_with_replacement(rng, classes, count).ravel()
    rounds = -(-groups // num_classes)
    classes = rng.permutation(num_classes)[:groups]
    drawn = images.draw(rng, classes, rounds * count).reshape(len(classes), rounds, count)
    return np.unique(drawn.swapaxes(0, 1).reshape(-1, count)[:groups])
