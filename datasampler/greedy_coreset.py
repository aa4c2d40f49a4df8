"""Greedy coreset batches: Roth et al., ICML 2020, https://arxiv.org/abs/2002.08473."""

from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
from annotated_types import Gt, Lt
from numpy.typing import ArrayLike
from torch import Tensor

from core.ranges import PositiveInt, Seed
from core.types import Embeddings
from datasampler.planning.coreset import big_batch, check_big_batch, farthest, select_points
from datasampler.planning.embedding_sampler import EmbeddingSampler, project
from datasampler.planning.stored_embeddings import StoredEmbeddings

PERCENTILE = 0.97  # of the distances; a softened choice is among those beyond it


class GreedyCoreset(EmbeddingSampler):
    """Greedy coreset sampler: selects P points that cover a big batch, adds K - 1 of each class.

    For every batch, a big batch of M random images is drawn. Its first point is random; each next
    point is the one farthest from the selected ones (k-center by farthest-first traversal),

        next = argmax_j min_{i selected} |x_i - x_j|²

    until there are P = `batch_size` / `samples_per_class` points. K - 1 random images of its class
    follow each point. Points, classes and images of a batch are distinct; a class repeats only if
    the big batch has fewer than P classes, and an image only if its class has fewer than K images.

    Differences:
        Roth et al., paper and code: the classes of a batch may repeat, and the images that follow a
            point are drawn with replacement from its class, so that they may repeat the point:
            `replacement=True`. The points stay distinct.
        Roth et al., released code: looks up the selected points in another big batch than the one
            they were selected from, so that they are random images.
        Roth et al., `greedy_semi_class_coreset`: see the YAML of that name.

    Args:
        labels: class of every training image, (S,).
        batch_size: images per batch, a multiple of `samples_per_class`.
        samples_per_class: K >= 1.
        seed: of the draws; the global random state is not used.
        big_batch_size: M >= P, at most all images are taken; a fraction of all images if below 1.
        projection_dim: dimensions of a random Gaussian projection of the big batch, drawn for every
            batch; None uses the embeddings.
        softened: whether the next point is a random one of those whose distance is at or above the
            97th percentile of the eligible points.
        replacement: see above.
        storage: stored embeddings of the training images; None is `StoredEmbeddings()`.
    """

    def __init__(
        self,
        labels: ArrayLike,
        batch_size: PositiveInt,
        samples_per_class: PositiveInt,
        seed: Seed,
        big_batch_size: PositiveInt | Annotated[float, Gt(0), Lt(1)] = 512,
        projection_dim: PositiveInt | None = None,
        softened: bool = False,
        replacement: bool = False,
        storage: StoredEmbeddings | None = None,
    ) -> None:
        super().__init__(labels, batch_size, samples_per_class, seed, storage, replacement)
        check_big_batch(big_batch_size, self.num_images, self.classes_per_batch)
        self.big_batch_size, self.projection_dim = big_batch_size, projection_dim
        self.softened = softened

    def plan(self, embeddings: Embeddings, rng: np.random.Generator) -> np.ndarray:
        images = big_batch(rng, self.num_images, self.big_batch_size)
        points = project(embeddings[torch.from_numpy(images)], self.projection_dim, rng)
        classes = torch.from_numpy(self.images.codes[images]).to(points.device)
        first = torch.tensor([rng.integers(len(images))], device=points.device)
        selected = select_points(
            points,
            None if self.replacement else classes,
            first,
            self.classes_per_batch,
            torch.minimum,
            self._softened(rng, points) if self.softened else farthest,
        )
        return self.complete(rng, images[selected.cpu().numpy()])

    def _softened(
        self, rng: np.random.Generator, points: Tensor
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Chooses one of the eligible points whose distance is about the largest."""
        noise = rng.random((self.classes_per_batch, len(points)), dtype=np.float32)
        rows = iter(torch.from_numpy(noise).to(points.device))

        def choose(distances: Tensor, eligible: Tensor) -> Tensor:
            limit = distances.masked_fill(~eligible, torch.nan).nanquantile(PERCENTILE)
            far = eligible & (distances >= limit)
            best: Tensor = next(rows).masked_fill(~far, -1).argmax(dim=0, keepdim=True)
            return best

        return choose
