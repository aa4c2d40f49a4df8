"""Greedy coreset within classes: released code of Roth et al., https://arxiv.org/abs/2002.08473."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from core.ranges import PositiveInt, Seed
from core.types import Embeddings
from datasampler.planning.embedding_sampler import EmbeddingSampler
from datasampler.planning.stored_embeddings import StoredEmbeddings

MAX_NUMBERS = 2**24  # of embeddings in memory at once


class GreedyClassCoreset(EmbeddingSampler):
    """Greedy class coreset sampler: draws P random classes, and covers each with K of its images.

    The first image of a class is random; each next one is the image of the class farthest from the
    selected ones (k-center by farthest-first traversal),

        next = argmax_j min_{i selected} |x_i - x_j|²

    The P = `batch_size` / `samples_per_class` classes and the images are distinct; only a class of
    fewer than K images repeats its images, in the order in which they were selected.

    Differences:
        Roth et al.: draw the classes with replacement, `replacement=True`; a class of fewer than K
            images repeats the first of them; no entry point of the released code uses it.

    Args:
        labels: class of every training image, (S,).
        batch_size: images per batch, a multiple of `samples_per_class`.
        samples_per_class: K >= 1.
        seed: of the draws; the global random state is not used.
        replacement: whether a batch may contain a class several times.
        storage: stored embeddings of the training images; None is `StoredEmbeddings()`.
    """

    def __init__(
        self,
        labels: ArrayLike,
        batch_size: PositiveInt,
        samples_per_class: PositiveInt,
        seed: Seed,
        replacement: bool = False,
        storage: StoredEmbeddings | None = None,
    ) -> None:
        super().__init__(labels, batch_size, samples_per_class, seed, storage, replacement)

    def plan(self, embeddings: Embeddings, rng: np.random.Generator) -> np.ndarray:
        sizes = self.images.sizes
        classes = rng.choice(len(sizes), self.classes_per_batch, replace=self.replacement)
        first = rng.integers(sizes[classes])
        pieces = -(-len(classes) * int(sizes[classes].max()) * embeddings.shape[1] // MAX_NUMBERS)
        parts = np.array_split(np.arange(len(classes)), min(pieces, len(classes)))
        return np.concatenate([self._cover(embeddings, classes[p], first[p]) for p in parts])

    def _cover(self, embeddings: Embeddings, classes: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Selects K images of each class, (P,) -> (P, K)."""
        sizes = self.images.sizes[classes]
        columns = np.arange(sizes.max())
        valid = torch.from_numpy(columns < sizes[:, None]).to(embeddings.device)
        starts = self.images.starts[classes][:, None]
        images = self.images.by_group[starts + np.minimum(columns, sizes[:, None] - 1)]
        selected = farthest_first(
            embeddings[torch.from_numpy(images)],
            valid,
            torch.from_numpy(first).to(embeddings.device),
            self.samples_per_class,
        )
        again = np.arange(self.samples_per_class) % sizes[:, None]
        return np.take_along_axis(
            images, np.take_along_axis(selected.cpu().numpy(), again, axis=1), axis=1
        )


def farthest_first(points: Tensor, valid: Tensor, first: Tensor, count: int) -> Tensor:
    """Selects `count` points of each set, each farthest from those before: (P, n, D) -> (P, count).

    Beyond the number of valid points of a set, the selection means nothing.

    Args:
        points: P sets of at most n points.
        valid: which of them are points of the set, (P, n).
        first: index of the first point of each set, (P,).
        count: points to select.
    """
    rows = torch.arange(len(points), device=points.device)
    selected, eligible = [first], valid.clone()
    nearest = torch.full(valid.shape, torch.inf, device=points.device)
    for _ in range(count - 1):
        last = selected[-1]
        eligible[rows, last] = False
        squared = (points - points[rows, last].unsqueeze(1)).square().sum(dim=2)
        nearest = torch.minimum(nearest, squared)
        selected.append(nearest.masked_fill(~eligible, -torch.inf).argmax(dim=1))
    return torch.stack(selected, dim=1)
