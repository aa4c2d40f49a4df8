"""Training step: computes gradients and updates parameters; no logging, evaluation or files."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn

from core.types import Embeddings, Images, Outputs
from methods.method import Batch, Detail, Losses, Method


class Gradients(NamedTuple):
    """The losses whose gradients were added to the parameters, and the embeddings of the batch."""

    losses: Losses
    embeddings: Embeddings


ComputeGradients = Callable[[Batch], Gradients]


class StepResult(NamedTuple):
    """Result of an optimizer step; measurements and embeddings stay on the device."""

    num_images: int
    measured: dict[str, Tensor]
    embeddings: Tensor | None = None  # of the whole batch, without gradient


def train_step(
    fabric: Fabric,
    model: _FabricModule,
    trained: Sequence[nn.Module],
    optimizer: _FabricOptimizer,
    batch: Batch,
    compute_gradients: ComputeGradients,
    max_grad_norm: float,
) -> StepResult:
    """Take one optimizer step on one batch; returns the losses and the norm of the gradient.

    Each of several processes embeds its part of the batch; all compute the loss of the whole batch
    and take the same step.

    Args:
        model: embedder set up by `fabric`; images (N, 3, H, W) -> embeddings (N, D).
        trained: criterion and method, whose parameters every process trains.
        batch: images and labels on the device.
        compute_gradients: computes the losses of a batch and adds the gradients of their sum to the
            parameters, such as `whole_batch_gradients` or `engine.grad_cache.chunked_gradients`.
        max_grad_norm: the gradient is scaled down to this L2 norm; infinity only measures it.
    """
    optimizer.zero_grad(set_to_none=True)
    losses, embeddings = compute_gradients(batch)
    average_gradients(fabric, trained)
    grad_norm = fabric.clip_gradients(
        model, optimizer, max_norm=max_grad_norm, error_if_nonfinite=False
    )
    optimizer.step()

    assert isinstance(grad_norm, torch.Tensor)
    measured = {"train/loss": total(losses).detach(), "train/grad_norm": grad_norm.detach()}
    if len(losses) > 1:
        measured |= {f"train/loss/{name}": loss.detach() for name, loss in losses.items()}
    return StepResult(len(batch.labels), measured, embeddings.detach())


def total(losses: Losses) -> Tensor:
    """The sum of weighted losses."""
    first, *others = losses.values()
    return sum(others, first)


def whole_batch_gradients(
    fabric: Fabric, model: _FabricModule, method: Method, criterion: nn.Module, batch: Batch
) -> Gradients:
    """The losses of a batch, embedded at once; adds their gradients to the parameters.

    The backbone runs in the precision of `fabric`, the criterion in float32 or better.
    """
    embed = WholeBatchEmbedding(fabric, model, method.details)
    losses = method(batch, embed, criterion)
    fabric.backward(total(losses), model=model)
    return Gradients(losses, embed.embeddings)


class WholeBatchEmbedding:
    """Embeds the images of this process; returns the outputs of all processes, with gradients.

    Args:
        details: outputs that are returned besides the embeddings.

    Attributes:
        embeddings: those of the last call.
    """

    embeddings: Embeddings

    def __init__(self, fabric: Fabric, model: _FabricModule, details: tuple[Detail, ...]) -> None:
        self.fabric, self.model, self.details = fabric, model, details

    def __call__(self, images: Images) -> Outputs:
        if not self.details:
            outputs = Outputs(all_gather_batch(self.fabric, self.model(images)))
        else:
            detailed = self.model(images, detailed=True)
            wanted = {
                name: all_gather_batch(self.fabric, getattr(detailed, name))
                for name in ("embeddings", *self.details)
            }
            outputs = Outputs(**wanted)
        self.embeddings = outputs.embeddings
        return outputs


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


def average_gradients(fabric: Fabric, trained: Sequence[nn.Module]) -> None:
    """Average the gradients of criterion and method over processes, which differ by rounding."""
    if fabric.world_size > 1:
        for parameter in chain.from_iterable(module.parameters() for module in trained):
            if parameter.grad is not None:
                fabric.all_reduce(parameter.grad, reduce_op="mean")
