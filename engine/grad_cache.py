"""Batches larger than the memory: gradient caching.

Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, 2021,
https://arxiv.org/abs/2101.06983. The images are embedded in chunks without a graph; the loss of all
embeddings gives the gradient at each of them; a second pass takes each chunk's back to the
parameters. The result is that of one step over the whole batch, as long as no image changes the
embedding of another: BatchNorm, unless frozen, sees a chunk in place of the batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor


@dataclass(frozen=True)
class Chunks:
    """The images of a batch, their embeddings as a leaf of the graph, and the draws they saw."""

    images: Sequence[Tensor]
    random_states: list[list[Tensor]]
    embeddings: Tensor


def forward_chunks(model: _FabricModule, images: Tensor, size: int) -> Chunks:
    """Embed without a graph; the embeddings will collect the gradient of the loss."""
    chunks = torch.split(images, size)
    embeddings, states = [], []
    with torch.no_grad():
        for chunk in chunks:
            states.append(random_states(chunk))
            embeddings.append(model(chunk))
    return Chunks(chunks, states, torch.cat(embeddings).requires_grad_())


def backward_chunks(fabric: Fabric, model: _FabricModule, chunks: Chunks) -> None:
    """Embed again, with the same dropout, and send each chunk's gradient back."""
    assert chunks.embeddings.grad is not None
    gradients = torch.split(chunks.embeddings.grad, [len(chunk) for chunk in chunks.images])
    last = len(chunks.images) - 1
    for number, (images, state, gradient) in enumerate(
        zip(chunks.images, chunks.random_states, gradients, strict=True)
    ):
        # several processes average their gradients once, with the last chunk
        with fabric.no_backward_sync(model, enabled=number < last):
            with replayed(images, state):
                embeddings = model(images)
            torch.autograd.backward(embeddings, gradient.to(embeddings.dtype))


def random_states(like: Tensor) -> list[Tensor]:
    """What a model draws from: the state of the host, and that of the device if it is another."""
    on_gpu = [torch.cuda.get_rng_state(like.device)] if like.is_cuda else []
    return [torch.get_rng_state(), *on_gpu]


@contextmanager
def replayed(like: Tensor, states: list[Tensor]) -> Iterator[None]:
    """Draw once more what was drawn after `states`, then go on as if nothing had been drawn."""
    with torch.random.fork_rng([like.device] if like.is_cuda else []):
        torch.set_rng_state(states[0])
        if like.is_cuda:
            torch.cuda.set_rng_state(states[1], like.device)
        yield
