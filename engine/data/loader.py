"""Batches of images, the same whatever the number of workers and wherever a run was resumed."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, Subset

from core.errors import ComponentError
from core.types import BatchSampler
from datasets.images import Images
from engine.data.gpu_decode import Decoder, EncodedImages, collate
from engine.data.prefetch import CudaPrefetcher, to_device

AUGMENTATION = 1  # keeps this stream of draws apart from the sampler's own

Draw = tuple[int, int]  # index of the sample, seed of its augmentation


class SeededBatches(Sampler[list[Draw]]):
    """Gives every draw of a batch sampler a seed for its augmentation.

    The seed is a function of (run seed, epoch, position in the epoch): of nothing a worker or
    an interruption could change. The position rather than the index, so that an image drawn
    twice (its class too small) is augmented in two ways and never its own trivial positive.

    Set `epoch` and `start` before iterating; `start` batches are passed over without being read.

    Args:
        sampler: of batches of indices, the same in every process.
        seed: of the run.
        rank: of this process, which gets its part of every batch ...
        world_size: ... of so many, all equally large.
    """

    def __init__(
        self, sampler: BatchSampler, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.sampler, self.seed = sampler, seed
        self.rank, self.world_size = rank, world_size
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return len(self.sampler) - self.start

    def __iter__(self) -> Iterator[list[Draw]]:
        self.sampler.set_epoch(self.epoch)
        rng = np.random.default_rng((self.seed, self.epoch, AUGMENTATION))
        drawn = 0
        for number, batch in enumerate(self.sampler):  # type: ignore[arg-type, var-annotated]
            drawn = number + 1
            seeds = rng.integers(2**63, size=len(batch)).tolist()
            if number >= self.start:
                yield self._part(list(zip(batch, seeds, strict=True)))

        if drawn != len(self.sampler):  # the next epoch would begin in the middle of this one
            raise ComponentError(
                f"the sampler {type(self.sampler).__qualname__} yields {drawn} batches in epoch "
                f"{self.epoch}, and its __len__ says {len(self.sampler)}"
            )

    def _part(self, batch: list[Draw]) -> list[Draw]:
        size, rest = divmod(len(batch), self.world_size)
        if rest:
            raise ValueError(
                f"the batch size must be a multiple of the {self.world_size} devices, "
                f"got {len(batch)}"
            )
        return batch[self.rank * size : (self.rank + 1) * size]


def worker_count(requested: int | str, processes: int = 1) -> int:
    """Of each process: `auto` is one per core, at most eight; a number is taken as it is."""
    if requested == "auto":
        return max(1, min(8, len(os.sched_getaffinity(0)) // processes))
    return int(requested)


def training_loader(
    images: Images, batches: SeededBatches, num_workers: int, device: torch.device
) -> CudaPrefetcher:
    """The loader of the training split; its own generator leaves the global random state alone."""
    return on_device(
        images,
        device,
        batch_sampler=batches,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )


def evaluation_loader(
    images: Images,
    batch_size: int,
    num_workers: int,
    device: torch.device,
    part: Sequence[int] | None = None,
) -> CudaPrefetcher:
    """Every sample of a split once, in order, or those of a `part`."""
    return on_device(images, device, part, batch_size=batch_size, num_workers=num_workers)


def on_device(
    images: Images,
    device: torch.device,
    part: Sequence[int] | None = None,
    **options: Any,  # noqa: ANN401
) -> CudaPrefetcher:
    """Images and labels of a split on the device, decoded there or before, as the split says."""
    dataset: Dataset[Any] = EncodedImages(images) if images.on_device else images
    loader: DataLoader[Any] = DataLoader(
        dataset if part is None else Subset(dataset, part),
        collate_fn=collate if images.on_device else None,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),
        **options,
    )
    return CudaPrefetcher(
        loader, device, Decoder(images.transform) if images.on_device else to_device
    )
