"""Stored embeddings of a sampler during training: filled, refreshed, updated after each step."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from datasampler.planning.stored_embeddings import StoredEmbeddings
from engine.checkpoint import Stateful
from engine.data.loader import SeededBatches


@dataclass(frozen=True)
class EmbeddingStorage:
    """Embedding storage: keeps the stored embeddings of a sampler up to date during training.

    Args:
        stored: the stored embeddings, which the sampler reads.
        batches: tells the images of each batch.
        embed: embeds all training images in their order with the transform of the evaluation.
    """

    stored: StoredEmbeddings
    batches: SeededBatches
    embed: Callable[[], Tensor]

    def begin_epoch(self, epoch: int) -> None:
        """Embed all training images, if that is due before this epoch."""
        if self.stored.is_due(epoch):
            self.stored.fill(self.embed())

    def after_step(self, embeddings: Tensor | None) -> None:
        """Store the embeddings (N, D) of a step, those of the whole batch of all processes."""
        assert embeddings is not None
        self.stored.update(self.batches.next_images(), embeddings)

    def state(self) -> dict[str, Stateful]:
        """The part that a resumed run restores."""
        return {"storage": self.stored}


class NoStorage:
    """No storage: the sampler draws its batches without embeddings."""

    def begin_epoch(self, epoch: int) -> None: ...

    def after_step(self, embeddings: Tensor | None) -> None: ...

    def state(self) -> dict[str, Stateful]:
        return {}


def storage_of(
    batches: SeededBatches, embed: Callable[[], Tensor], device: torch.device
) -> EmbeddingStorage | NoStorage:
    """The embedding storage of a sampler that has the attribute `storage`, else none."""
    stored = getattr(batches.sampler, "storage", None)
    if stored is None:
        return NoStorage()
    stored.device = device
    batches.keeps_images = True
    return EmbeddingStorage(stored, batches, embed)
