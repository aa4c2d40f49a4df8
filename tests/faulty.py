"""Objectives in which something goes wrong at the sixth step, for runs by the real command."""

import warnings

import torch
from torch import Tensor

from criteria.contrastive import Contrastive

STEP = 6


class Faulty(Contrastive):
    """All is well up to the step before."""

    taken = 0

    def forward(self, embeddings: Tensor, labels: Tensor, *rest: object, **more: object) -> Tensor:
        self.taken += 1
        loss = super().forward(embeddings, labels, *rest, **more)
        return self.fault(loss, embeddings) if self.taken == STEP else loss


class Spoiled(Faulty):
    """The loss is finite, its gradient is not: the slope of a square root at 0."""

    def fault(self, loss: Tensor, embeddings: Tensor) -> Tensor:
        return loss + (0 * embeddings).sum().sqrt()


class Hungry(Faulty):
    """The memory of a GPU is exhausted."""

    def fault(self, *_: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has")


class Unforeseen(Faulty):
    """A mistake in the code of a loss."""

    def fault(self, *_: Tensor) -> Tensor:
        raise KeyError("margn")


class Warned(Faulty):
    """A library warns."""

    def fault(self, loss: Tensor, _: Tensor) -> Tensor:
        warnings.warn("this will change\nin the next version", UserWarning, stacklevel=1)
        return loss
