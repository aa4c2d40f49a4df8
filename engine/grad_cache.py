"""Gradient caching: trains on batches that are larger than the memory of the device.

Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, 2021,
https://arxiv.org/abs/2101.06983. The images are embedded in chunks without a graph. The loss of all
embeddings gives the gradient at each embedding. A second forward pass propagates the gradient of
each chunk to the parameters. The result is that of one step over the whole batch, as long as no
image changes the embedding of another image: BatchNorm, unless frozen, sees a chunk instead of the
batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor, nn

from engine.data.prefetch import Batch
from engine.step import loss_of_batch


@dataclass(frozen=True)
class CachedChunks:
    """The images of a batch in chunks, their embeddings and the random states before each chunk."""

    images: Sequence[Tensor]
    random_states: list[list[Tensor]]
    embeddings: Tensor  # (N, D), a leaf of the graph


def chunked_gradients(
    fabric: Fabric, model: _FabricModule, criterion: nn.Module, chunk_size: int, batch: Batch
) -> Tensor:
    """The loss of a batch in chunks; adds its gradients to the parameters.

    Only one chunk is in memory with its activations, at the cost of a second forward pass.
    """
    images, labels = batch
    chunks = forward_chunks(model, images, chunk_size)
    loss = loss_of_batch(fabric, criterion, chunks.embeddings, labels)
    fabric.backward(loss)
    backward_chunks(fabric, model, chunks)
    return loss


def forward_chunks(model: _FabricModule, images: Tensor, chunk_size: int) -> CachedChunks:
    """Embed all chunks without a graph; the embeddings are leaves that receive gradients."""
    chunks = torch.split(images, chunk_size)
    embeddings, states = [], []
    with torch.no_grad():
        for chunk in chunks:
            states.append(random_states(chunk))
            embeddings.append(model(chunk))
    return CachedChunks(chunks, states, torch.cat(embeddings).requires_grad_())


def backward_chunks(fabric: Fabric, model: _FabricModule, chunks: CachedChunks) -> None:
    """Embed every chunk again, with the same dropout, and propagate its gradient."""
    assert chunks.embeddings.grad is not None
    gradients = torch.split(chunks.embeddings.grad, [len(chunk) for chunk in chunks.images])
    last = len(chunks.images) - 1
    for number, (images, state, gradient) in enumerate(
        zip(chunks.images, chunks.random_states, gradients, strict=True)
    ):
        # several processes average their gradients once, with the last chunk
        with fabric.no_backward_sync(model, enabled=number < last):
            with restored_random_states(images, state):
                embeddings = model(images)
            torch.autograd.backward(embeddings, gradient.to(embeddings.dtype))


def random_states(like: Tensor) -> list[Tensor]:
    """The random state of the CPU, and that of the GPU if the tensor is on one."""
    on_gpu = [torch.cuda.get_rng_state(like.device)] if like.is_cuda else []
    return [torch.get_rng_state(), *on_gpu]


@contextmanager
def restored_random_states(like: Tensor, states: list[Tensor]) -> Iterator[None]:
    """Set the random states inside the block; the current states are restored at its end."""
    with torch.random.fork_rng([like.device] if like.is_cuda else []):
        torch.set_rng_state(states[0])
        if like.is_cuda:
            torch.cuda.set_rng_state(states[1], like.device)
        yield
