"""The training step, and nothing else: no logging, no evaluation, no files."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn

from engine.grad_cache import backward_chunks, forward_chunks


class StepResult(NamedTuple):
    """What one optimizer step measured, still on the device."""

    num_images: int
    measured: dict[str, Tensor]


def train_steps(
    fabric: Fabric,
    model: _FabricModule,
    criterion: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: _FabricOptimizer,
    max_grad_norm: float,
    chunk_size: int | None = None,
) -> Iterator[StepResult]:
    """Take one optimizer step per batch and yield what it measured.

    Whoever iterates decides when to log, evaluate, checkpoint and stop. The backbone runs in
    the precision of `fabric`, the criterion always in float32 or better. Of several processes,
    each embeds its part of the batch; all see the loss of the whole batch and take the same step.

    Args:
        model: backbone set up by `fabric`; images (N, 3, H, W) -> embeddings (N, D).
        criterion: embeddings, labels -> scalar loss.
        batches: (images, labels) pairs on the device; of this process's part.
        max_grad_norm: the gradient is scaled down to this L2 norm; infinity only measures it.
        chunk_size: images that are in memory with their activations at once, so that a batch may
            be larger than the device; costs a second forward pass. None takes the batch at once.
    """
    model.train()
    criterion.train()
    for images, labels in batches:
        optimizer.zero_grad(set_to_none=True)
        if chunk_size is None:
            loss = criterion(
                all_gather_batch(fabric, model(images)), all_gather_batch(fabric, labels)
            )
            fabric.backward(loss, model=model)
        else:
            chunks = forward_chunks(model, images, chunk_size)
            loss = criterion(
                all_gather_batch(fabric, chunks.embeddings), all_gather_batch(fabric, labels)
            )
            fabric.backward(loss)
            backward_chunks(fabric, model, chunks)

        average_gradients(fabric, criterion)
        grad_norm = fabric.clip_gradients(
            model, optimizer, max_norm=max_grad_norm, error_if_nonfinite=False
        )
        optimizer.step()

        assert isinstance(grad_norm, torch.Tensor)
        measured = {"train/loss": loss.detach(), "train/grad_norm": grad_norm.detach()}
        yield StepResult(len(labels) * fabric.world_size, measured)


def all_gather_batch(fabric: Fabric, part: Tensor) -> Tensor:
    """The batch of all processes in their order, from the part of each; gradients flow back.

    Every process then computes the same loss of everything, and the gradient that comes back to a
    part is the sum of what all processes found, n times what it is. The mean that n processes take
    of their parameters' gradients sets that right: it is the gradient of one process with the
    whole batch.
    """
    if fabric.world_size == 1:
        return part
    gathered = fabric.all_gather(part, sync_grads=part.requires_grad)
    assert isinstance(gathered, Tensor)
    return gathered.flatten(0, 1)


def average_gradients(fabric: Fabric, criterion: nn.Module) -> None:
    """Every process has the same gradients of the criterion, up to the rounding of its device."""
    if fabric.world_size > 1:
        for parameter in criterion.parameters():
            if parameter.grad is not None:
                fabric.all_reduce(parameter.grad, reduce_op="mean")
