"""Training step: computes gradients and updates parameters; no logging, evaluation or files."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn

from engine.data.prefetch import Batch

ComputeGradients = Callable[[Batch], Tensor]  # adds the gradients of a batch, returns its loss


class StepResult(NamedTuple):
    """Result of an optimizer step: number of images, and measurements that stay on the device."""

    num_images: int
    measured: dict[str, Tensor]


def train_step(
    fabric: Fabric,
    model: _FabricModule,
    criterion: nn.Module,
    optimizer: _FabricOptimizer,
    batch: Batch,
    compute_gradients: ComputeGradients,
    max_grad_norm: float,
) -> StepResult:
    """Take one optimizer step on one batch; returns the loss and the norm of the gradient.

    Each of several processes embeds its part of the batch; all compute the loss of the whole batch
    and take the same step.

    Args:
        model: backbone set up by `fabric`; images (N, 3, H, W) -> embeddings (N, D).
        criterion: embeddings (N, D), labels (N,) -> scalar loss; its parameters are trained, too.
        batch: images and labels on the device; the part of this process.
        compute_gradients: computes the loss of a batch and adds its gradients to the parameters,
            such as `whole_batch_gradients` or `engine.grad_cache.chunked_gradients`.
        max_grad_norm: the gradient is scaled down to this L2 norm; infinity only measures it.
    """
    optimizer.zero_grad(set_to_none=True)
    loss = compute_gradients(batch)
    average_gradients(fabric, criterion)
    grad_norm = fabric.clip_gradients(
        model, optimizer, max_norm=max_grad_norm, error_if_nonfinite=False
    )
    optimizer.step()

    assert isinstance(grad_norm, torch.Tensor)
    measured = {"train/loss": loss.detach(), "train/grad_norm": grad_norm.detach()}
    return StepResult(len(batch[1]) * fabric.world_size, measured)


def whole_batch_gradients(
    fabric: Fabric, model: _FabricModule, criterion: nn.Module, batch: Batch
) -> Tensor:
    """The loss of a batch in one forward pass; adds its gradients to the parameters.

    The backbone runs in the precision of `fabric`, the criterion in float32 or better.
    """
    images, labels = batch
    loss = loss_of_batch(fabric, criterion, model(images), labels)
    fabric.backward(loss, model=model)
    return loss


def loss_of_batch(
    fabric: Fabric, criterion: nn.Module, embeddings: Tensor, labels: Tensor
) -> Tensor:
    """The loss of the batch of all processes, from the part of this process."""
    loss: Tensor = criterion(all_gather_batch(fabric, embeddings), all_gather_batch(fabric, labels))
    return loss


def all_gather_batch(fabric: Fabric, part: Tensor) -> Tensor:
    """The batch of all processes in their order, from the part of each; gradients flow back.

    Every process computes the same loss of the whole batch. The gradient that returns to a part is
    the sum over n processes, which is n times too large. The mean of the parameters' gradients over
    the processes corrects this: it is the gradient of one process with the whole batch.
    """
    if fabric.world_size == 1:
        return part
    gathered = fabric.all_gather(part, sync_grads=part.requires_grad)
    assert isinstance(gathered, Tensor)
    return gathered.flatten(0, 1)


def average_gradients(fabric: Fabric, criterion: nn.Module) -> None:
    """Average the gradients of the criterion over processes, which differ by rounding."""
    if fabric.world_size > 1:
        for parameter in criterion.parameters():
            if parameter.grad is not None:
                fabric.all_reduce(parameter.grad, reduce_op="mean")
