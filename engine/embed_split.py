"""Embedding of a split by all processes of a run; each image is embedded by one of them."""

from collections.abc import Iterable
from typing import Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from datasets.images import Images
from engine.data.loader import evaluation_loader
from engine.data.prefetch import Batch
from engine.malloc import return_freed_memory
from evaluation.embed import Embedded, embed


class Watch(Protocol):
    """Watch: yields the batches of an evaluation unchanged, and shows how many are done."""

    def __call__(self, batches: Iterable[Batch], total: int, activity: str) -> Iterable[Batch]: ...


def unwatched(batches: Iterable[Batch], total: int, activity: str) -> Iterable[Batch]:  # noqa: ARG001
    """The batches themselves."""
    return batches


def embed_split(
    fabric: Fabric,
    model: nn.Module,
    images: Images,
    batch_size: int,
    num_workers: int,
    split: str = "",
    watch: Watch = unwatched,
) -> Embedded:
    """Embed all images of a split; returns embeddings and labels in order, in every process.

    Each of P processes embeds every P-th image. If P does not divide their number, the first
    images pad the last round and are removed afterwards: all processes embed equally many batches,
    as their communication requires, and no image counts twice.

    Args:
        batch_size: batch size per process.
        num_workers: loader workers per process.
        split: name of the split, to be shown.
        watch: shows how many batches of this process are done.
    """
    device, processes, total = fabric.device, fabric.world_size, len(images)
    own = None if processes == 1 else part(total, processes, fabric.global_rank)
    return_freed_memory()
    loader = evaluation_loader(images, batch_size, num_workers, device, own)
    embedded = embed(model, watch(loader, len(loader), f"embedding {split}"), device)
    if processes == 1:
        return embedded
    return Embedded(*(in_order(fabric, own_rows)[:total] for own_rows in embedded))


def part(total: int, processes: int, rank: int) -> list[int]:
    """The indices of the images that one of several processes embeds."""
    rounds = -(-total // processes)
    return [(n * processes + rank) % total for n in range(rounds)]


def in_order(fabric: Fabric, own: Tensor) -> Tensor:
    """Gather the rows of every P-th image, (n, ...) per process, in order: (n P, ...)."""
    gathered = fabric.all_gather(own)
    assert isinstance(gathered, Tensor)
    return torch.flatten(gathered.transpose(0, 1), end_dim=1)
