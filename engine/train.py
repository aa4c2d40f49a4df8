"""The training step, and nothing else: no logging, no evaluation, no files."""

from collections.abc import Iterable, Iterator

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

Measurements = dict[str, Tensor]


def train_steps(
    fabric: Fabric,
    model: nn.Module,
    criterion: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    max_grad_norm: float,
) -> Iterator[Measurements]:
    """Take one optimizer step per batch and yield its measurements, still on the device.

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
        yield {"train/loss": loss.detach(), "train/grad_norm": grad_norm.detach()}
