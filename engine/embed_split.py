"""Embedding of a split by all processes of a run; each image is embedded by one of them."""

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from datasets.images import Images
from engine.data.loader import evaluation_loader
from evaluation.embed import Embedded, embed


def embed_split(
    fabric: Fabric,
    model: nn.Module,
    images: Images,
    batch_size: int,
    num_workers: int,
) -> Embedded:
    """Embed all images of a split; returns embeddings and labels in order, in every process.

    Each of P processes embeds every P-th image. If P does not divide their number, the first
    images pad the last round and are removed afterwards: all processes embed equally many batches,
    as their communication requires, and no image counts twice.

    Args:
        batch_size: batch size per process.
        num_workers: loader workers per process.
    """
    device, processes, total = fabric.device, fabric.world_size, len(images)
    if processes == 1:
        return embed(model, evaluation_loader(images, batch_size, num_workers, device), device)
    rounds = -(-total // processes)
    own = [(n * processes + fabric.global_rank) % total for n in range(rounds)]
    loader = evaluation_loader(images, batch_size, num_workers, device, own)
    embeddings, labels = embed(model, loader, device)
    return Embedded(in_order(fabric, embeddings)[:total], in_order(fabric, labels)[:total])


def in_order(fabric: Fabric, own: Tensor) -> Tensor:
    """Gather the rows of every P-th image, (n, ...) per process, in order: (n P, ...)."""
    gathered = fabric.all_gather(own)
    assert isinstance(gathered, Tensor)
    return torch.flatten(gathered.transpose(0, 1), end_dim=1)
