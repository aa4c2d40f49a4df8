"""Loaders of image batches, which do not depend on the number of workers nor on a resumption."""

import os
from collections import deque
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

AUGMENTATION = 1  # separates these random numbers from those of the sampler

SeededIndex = tuple[int, int]  # index of the sample, seed of its augmentation


class SeededBatches(Sampler[list[SeededIndex]]):
    """Batch sampler that adds the seed of an augmentation to every index of another batch sampler.

    The seed is a function of (run seed, epoch, position in the epoch), which neither the number of
    workers nor an interruption changes. It depends on the position instead of the index, so that an
    image that occurs twice in a batch (its class is too small) gets two different augmentations.

    Set `epoch` and `start` before iterating; the first `start` batches are skipped without reading
    their images. With `keeps_images`, `next_images` gives the images of the whole batches in their
    order, one batch at each call; a loader may have taken later batches already.

    Args:
        sampler: yields batches of indices, the same in every process.
        seed: the seed of the run.
        rank: rank of this process, which gets its part of every batch.
        world_size: number of processes; their parts have equal sizes.
        num_views: how often each image occurs, with an augmentation each.
    """

    def __init__(
        self,
        sampler: BatchSampler,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        num_views: int = 1,
    ) -> None:
        self.sampler, self.seed, self.num_views = sampler, seed, num_views
        self.rank, self.world_size = rank, world_size
        self.epoch = self.start = 0
        self.keeps_images = False
        self._images: deque[list[int]] = deque()

    def next_images(self) -> list[int]:
        """The images of the next batch of all processes; each as often as it has views."""
        return self._images.popleft()

    def __len__(self) -> int:
        return len(self.sampler) - self.start

    def __iter__(self) -> Iterator[list[SeededIndex]]:
        self.sampler.set_epoch(self.epoch)
        rng = np.random.default_rng((self.seed, self.epoch, AUGMENTATION))
        self._images.clear()
        drawn = 0
        for number, batch in enumerate(self.sampler):  # type: ignore[arg-type, var-annotated]
            drawn = number + 1
            views = [index for index in batch for _ in range(self.num_views)]
            seeds = rng.integers(2**63, size=len(views)).tolist()
            if number >= self.start:
                if self.keeps_images:
                    self._images.append(views)
                yield self._own_part(list(zip(views, seeds, strict=True)))

        if drawn != len(self.sampler):  # otherwise the epochs would shift
            raise ComponentError(
                f"the sampler {type(self.sampler).__qualname__} yields {drawn} batches in epoch "
                f"{self.epoch}, and its __len__ says {len(self.sampler)}"
            )

    def _own_part(self, batch: list[SeededIndex]) -> list[SeededIndex]:
        size, rest = divmod(len(batch), self.world_size)
        if rest:
            raise ValueError(
                f"the batch size must be a multiple of the {self.world_size} devices, "
                f"got {len(batch)}"
            )
        return batch[self.rank * size : (self.rank + 1) * size]


def worker_count(requested: int | str, processes: int = 1) -> int:
    """Number of loader workers per process: as requested; `auto` is one per core, at most eight."""
    if requested == "auto":
        return max(1, min(8, len(os.sched_getaffinity(0)) // processes))
    return int(requested)


def training_loader(
    images: Images, batches: SeededBatches, num_workers: int, device: torch.device
) -> CudaPrefetcher:
    """Loader of the training split; it does not use the global random state."""
    return device_loader(
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
    """Loader of every sample of a split, or of the indices in `part`, once and in order."""
    return device_loader(images, device, part, batch_size=batch_size, num_workers=num_workers)


def device_loader(
    images: Images,
    device: torch.device,
    part: Sequence[int] | None = None,
    **options: Any,  # noqa: ANN401
) -> CudaPrefetcher:
    """Loader of images and labels on the device; `images.on_device` decodes them there, too."""
    if images.in_memory:
        options |= {"num_workers": 0, "persistent_workers": False}
    dataset: Dataset[Any] = EncodedImages(images) if images.on_device else images
    loader: DataLoader[Any] = DataLoader(
        dataset if part is None else Subset(dataset, part),
        collate_fn=collate if images.on_device else None,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),
        **options,
    )
    move = Decoder(images.transform) if images.on_device else to_device
    return CudaPrefetcher(loader, device, move)
