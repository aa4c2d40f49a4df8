"""Images weighted by mined tuples: `TuplesToWeightsSampler` of pytorch-metric-learning."""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.utils.data import Sampler

from core.random import SeededRandom
from core.ranges import PositiveInt, Seed
from core.tuples import sample_weights, select_tuples
from core.types import Miner
from datasampler.planning.embedding_sampler import PLAN
from datasampler.planning.stored_embeddings import StoredEmbeddings


class TuplesToWeights(Sampler[list[int]]):
    """Tuples-to-weights sampler: draws images in proportion to how often a miner names them.

    At the start of an epoch a random subset of the training images is drawn, and the miner chooses
    pairs or triplets among their stored embeddings. The images of the epoch are drawn from the
    subset with replacement, each with probability

        p_i = n_i / Σ_j n_j,   n_i = number of times that the tuples name image i in any role

    and all equally often if there are no tuples. Epoch e is a function of (seed, e, rows of the
    storage at its start): the miner starts anew with random numbers of its own. Batches are not
    balanced by class; a class may have a single image in a batch.

    Differences:
        pytorch-metric-learning: `TuplesToWeightsSampler`; draws by the global random state, and
            embeds the subset at the start of every epoch, as here with `refresh_every=1`.

    Args:
        labels: class of every training image, (S,).
        batch_size: images per batch, at most those of the subset.
        miner: chooses the tuples; it is copied and never changed. None is an error: a run whose
            loss has no miner (`batchminer=none`) states one here.
        seed: of the draws and the miner's random numbers.
        subset_size: images among which tuples are mined, and images of an epoch; at most all are
            taken. None: all. Memory grows with its square.
        storage: the stored embeddings; None is `StoredEmbeddings("never", refresh_every=1)`.
    """

    def __init__(
        self,
        labels: ArrayLike,
        batch_size: PositiveInt,
        miner: Miner | None,
        seed: Seed,
        subset_size: PositiveInt | None = 2000,
        storage: StoredEmbeddings | None = None,
    ) -> None:
        if miner is None:
            raise ValueError(
                "the sampler needs a miner, that of the loss or its own: batchminer=distance, or "
                "'sampler.miner={_target_: batch_mining.distance.DistanceWeightedMiner}'"
            )
        self.labels = torch.from_numpy(np.unique(np.asarray(labels), return_inverse=True)[1])
        self.subset_size = min(subset_size or len(self.labels), len(self.labels))
        if not 1 <= batch_size <= self.subset_size:
            raise ValueError(
                f"{batch_size=} must lie in 1..{self.subset_size}, the images of the subset"
            )
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        self.miner = miner
        default = StoredEmbeddings("never", refresh_every=1)
        self.storage = default if storage is None else storage

    def set_epoch(self, epoch: int) -> None:
        self.storage.begin_epoch(epoch)
        self.epoch = epoch

    def __len__(self) -> int:
        return self.subset_size // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch, 0, PLAN))
        subset = rng.choice(len(self.labels), self.subset_size, replace=False)
        counts = self._count(subset, rng)
        probabilities = counts / counts.sum() if counts.any() else None
        images = rng.choice(subset, (len(self), self.batch_size), p=probabilities)
        yield from images.tolist()

    def _count(self, subset: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """How often the miner names each image of a subset, (N,)."""
        rows = torch.from_numpy(subset)
        embeddings = self.storage.rows()[rows]
        labels = self.labels[rows].to(embeddings.device)
        tuples = select_tuples(restarted(self.miner, rng), embeddings, labels)
        return sample_weights(tuples, labels).double().cpu().numpy()


def restarted(miner: Miner, rng: np.random.Generator) -> Miner:
    """A copy of a miner with other random numbers."""
    miner = copy.deepcopy(miner)
    if isinstance(miner, nn.Module):
        for part in miner.modules():
            if isinstance(part, SeededRandom):
                part.restart(int(rng.integers(2**32)))
    return miner
