"""Presampled infobatch: released code of Roth et al., https://arxiv.org/abs/2002.08473."""

from typing import Annotated

import numpy as np
import torch
from annotated_types import Gt, Lt
from numpy.typing import ArrayLike
from torch import Tensor

from core.kernels.euclidean import euclidean
from core.kernels.l2_normalize import l2_normalize
from core.ranges import PositiveInt, Seed
from core.types import Embeddings
from datasampler.planning.coreset import big_batch, check_big_batch
from datasampler.planning.embedding_sampler import EmbeddingSampler
from datasampler.planning.stored_embeddings import StoredEmbeddings


class PresampledInfobatch(EmbeddingSampler):
    """Presampled infobatch sampler: draws pairs of all distances, and adds K - 1 of each class.

    For every batch, a big batch of M random images is drawn. Pairs of its images of different
    classes are drawn without replacement with probability ∝ 1 / q(d), where

        q(d) ∝ d^(D-2) (1 - d²/4)^((D-3)/2)

    is the density of distances d between random points of the unit sphere in D dimensions, as in
    distance weighted mining; d is cut off below and above. The ends of the pairs, in their order,
    are the P = `batch_size` / `samples_per_class` points of the batch, and K - 1 random images of
    its class follow each. An end whose class is in the batch already is skipped, unless no other is
    left. An image repeats only if its class has fewer than K images.

    Differences:
        Roth et al.: put the squared distance where d belongs, which is NaN for every pair with a
            negative cosine, so that the draw fails or is arbitrary; they take an arbitrary half of
            the ends. Classes may repeat and the images that follow a point may repeat it,
            `replacement=True`. Their big batch is a tenth of the images, with replacement, and
            their embeddings stay those before the first step; no entry point of the released code
            uses it.

    Args:
        labels: class of every training image, (S,).
        batch_size: images per batch, a multiple of `samples_per_class`.
        samples_per_class: K >= 1.
        seed: of the draws; the global random state is not used.
        big_batch_size: M >= P, at most all images are taken; a fraction of all images if below 1.
            Memory and time grow with M².
        lower_cutoff: Euclidean distance of unit vectors; smaller ones count as this one.
        upper_cutoff: the same; larger ones count as this one. Below 2, where 1 / q is infinite.
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
        lower_cutoff: Annotated[float, Gt(0), Lt(2)] = 0.5,
        upper_cutoff: Annotated[float, Gt(0), Lt(2)] = 1.99,
        replacement: bool = False,
        storage: StoredEmbeddings | None = None,
    ) -> None:
        super().__init__(labels, batch_size, samples_per_class, seed, storage, replacement)
        check_big_batch(big_batch_size, self.num_images, self.classes_per_batch)
        if not 0 < lower_cutoff < upper_cutoff < 2:
            raise ValueError(
                "lower_cutoff and upper_cutoff must be ascending and in (0, 2), "
                f"got {lower_cutoff} and {upper_cutoff}"
            )
        self.big_batch_size = big_batch_size
        self.lower_cutoff, self.upper_cutoff = lower_cutoff, upper_cutoff

    def plan(self, embeddings: Embeddings, rng: np.random.Generator) -> np.ndarray:
        images = big_batch(rng, self.num_images, self.big_batch_size)
        classes = self.images.codes[images]
        weights = self._log_weights(embeddings[torch.from_numpy(images)], torch.from_numpy(classes))
        noise = rng.standard_exponential(weights.shape, dtype=np.float32)
        order = order_of_ends(weights, torch.from_numpy(noise).to(weights.device)).cpu().numpy()
        if not self.replacement:
            order = first_of_each_class(order, classes)
        return self.complete(rng, images[order[: self.classes_per_batch]])

    def _log_weights(self, embeddings: Embeddings, classes: Tensor) -> Tensor:
        """-log q of the distances of all pairs, (M, M); -inf for two images of a class."""
        distances = euclidean(l2_normalize(embeddings)).clamp_(self.lower_cutoff, self.upper_cutoff)
        dim = embeddings.shape[1]
        cap = distances.square().mul_(-0.25).add_(1).log_().mul_((3 - dim) / 2)
        same = classes[:, None] == classes
        return (
            distances.log_().mul_(2 - dim).add_(cap).masked_fill_(same.to(cap.device), -torch.inf)
        )


def order_of_ends(log_weights: Tensor, exponential: Tensor) -> Tensor:
    """Order in which images first occur in pairs drawn without replacement, (M, M) -> (M,).

    Pair (i, j) is drawn at the place of its log w_ij - log e_ij among all, with e_ij exponential
    (the Gumbel-max trick). An image occurs first with the best of its pairs.
    """
    tiny = torch.finfo(exponential.dtype).tiny
    keys = log_weights - exponential.clamp(min=tiny).log()
    best = torch.maximum(keys.amax(dim=0), keys.amax(dim=1))
    return best.argsort(descending=True, stable=True)


def first_of_each_class(order: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The order with the first image of every class before all others."""
    first = np.sort(np.unique(classes[order], return_index=True)[1])
    return np.concatenate([order[first], np.delete(order, first)])
