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

from core.types import Images, Outputs
from engine.step import Gradients, all_gather_batch, total
from methods.method import Batch, Method


@dataclass(frozen=True)
class CachedChunks:
    """The images of a batch in chunks, their embeddings and the random states before each chunk."""

    images: Sequence[Tensor]
    random_states: list[list[Tensor]]
    embeddings: Tensor  # (N, D), a leaf of the graph


def chunked_gradients(
    fabric: Fabric,
    model: _FabricModule,
    method: Method,
    criterion: nn.Module,
    chunk_size: int,
    batch: Batch,
) -> Gradients:
    """The losses of a batch in chunks; adds their gradients to the parameters.

    Only one chunk is in memory with its activations, at the cost of a second forward pass.
    """
    embedded: list[CachedChunks] = []

    def embed(images: Images) -> Outputs:
        embedded.append(forward_chunks(model, images, chunk_size))
        return Outputs(all_gather_batch(fabric, embedded[-1].embeddings))

    losses = method(batch, embed, criterion)
    fabric.backward(total(losses))
    last = embedded[-1]
    for chunks in embedded:
        backward_chunks(fabric, model, chunks, last=chunks is last)
    return Gradients(losses, all_gather_batch(fabric, last.embeddings.detach()))


def forward_chunks(model: _FabricModule, images: Tensor, chunk_size: int) -> CachedChunks:
    """Embed all chunks without a graph; the embeddings are leaves that receive gradients."""
    chunks = torch.split(images, chunk_size)
    embeddings, states = [], []
    with torch.no_grad():
        for chunk in chunks:
            states.append(random_states(chunk))
            embeddings.append(model(chunk))
    return CachedChunks(chunks, states, torch.cat(embeddings).requires_grad_())


def backward_chunks(fabric: Fabric, model: _FabricModule, chunks: CachedChunks, last: bool) -> None:
    """Embed every chunk again, with the same dropout, and propagate its gradient.

    Args:
        last: whether no further chunks of the step follow.
    """
    assert chunks.embeddings.grad is not None
    gradients = torch.split(chunks.embeddings.grad, [len(chunk) for chunk in chunks.images])
    final = len(chunks.images) - 1 if last else None
    for number, (images, state, gradient) in enumerate(
        zip(chunks.images, chunks.random_states, gradients, strict=True)
    ):
        # several processes average their gradients once, with the last chunk
        with fabric.no_backward_sync(model, enabled=number != final):
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
