"""The training step, and nothing else: no logging, no evaluation, no files."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn


class Step(NamedTuple):
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
) -> Iterator[Step]:
    """Take one optimizer step per batch and yield what it measured.

    Whoever iterates decides when to log, evaluate, checkpoint and stop. The backbone runs in
    the precision of `fabric`, the criterion always in float32 or better.

    Args:
        model: backbone set up by `fabric`; images (N, 3, H, W) -> embeddings (N, D).
        criterion: embeddings, labels -> scalar loss.
        batches: (images, labels) pairs, on any device.
        max_grad_norm: the gradient is scaled down to this L2 norm; infinity only measures it.
    """
    model.train()
    criterion.train()
    for images, labels in batches:
        images = images.to(fabric.device, non_blocking=True)
        labels = labels.to(fabric.device, non_blocking=True)

        loss = criterion(model(images), labels)

        optimizer.zero_grad(set_to_none=True)
        fabric.backward(loss, model=model)
        grad_norm = fabric.clip_gradients(
            model, optimizer, max_norm=max_grad_norm, error_if_nonfinite=False
        )
        optimizer.step()

        assert isinstance(grad_norm, torch.Tensor)
        measured = {"train/loss": loss.detach(), "train/grad_norm": grad_norm.detach()}
        yield Step(len(labels), measured)
