"""Learner: backbone, criterion, optimizer and learning rate schedule, on a device."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from core.parameter_groups import Groups
from engine.checkpoint import Stateful
from engine.data.prefetch import Batch as LoadedBatch
from engine.freezing import keep_frozen_batchnorm
from engine.grad_cache import chunked_gradients
from engine.parameter_groups import apply_lr_scale, parameter_groups
from engine.step import (
    ComputeGradients,
    StepResult,
    all_gather_batch,
    train_step,
    whole_batch_gradients,
)
from methods.method import Batch, Method
from methods.plain import Plain

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Learner:
    """Learner: the parts of a run that change during training; `set_up` builds one.

    Attributes:
        frozen_batchnorm: whether BatchNorm without trainable parameters stays in evaluation mode.
    """

    fabric: Fabric
    model: _FabricModule
    criterion: nn.Module
    method: Method
    optimizer: _FabricOptimizer
    scheduler: LRScheduler
    compute_gradients: ComputeGradients
    max_grad_norm: float
    frozen_batchnorm: bool = False

    def train_mode(self) -> None:
        """Set embedder, criterion and method to training mode."""
        self.model.train()
        self.criterion.train()
        self.method.train()
        if self.frozen_batchnorm:
            keep_frozen_batchnorm(self.model)

    def step(self, loaded: LoadedBatch, epoch: int = 0) -> StepResult:
        """Take one optimizer step and one step of the learning rate schedule.

        Args:
            loaded: images and labels of this process, on the device.
            epoch: number of the epoch, which some methods follow.
        """
        images, labels = loaded
        result = train_step(
            self.fabric,
            self.model,
            (self.criterion, self.method),
            self.optimizer,
            Batch(images, all_gather_batch(self.fabric, labels), epoch),
            self.compute_gradients,
            self.max_grad_norm,
        )
        self.scheduler.step()
        return result

    @property
    def uses_grad_scaler(self) -> bool:
        """Whether the loss is scaled up, and steps whose gradient is not finite are skipped."""
        return uses_grad_scaler(self.fabric)

    @property
    def learning_rate(self) -> float:
        """The current learning rate of the first parameter group, without its `lr_scale`."""
        group = self.optimizer.param_groups[0]
        return float(group["lr"] / group.get("lr_scale", 1))

    def inference_state(self) -> dict[str, Stateful]:
        """The parts that inference needs: backbone and criterion."""
        return {"model": self.model, "criterion": self.criterion}

    def state(self) -> dict[str, Stateful]:
        """The parts that a resumed run restores."""
        own = {"method": self.method} if self.method.state_dict() else {}
        return {
            **self.inference_state(),
            **own,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "precision": self.fabric.strategy.precision,
        }


def set_up(
    fabric: Fabric,
    model: nn.Module,
    criterion: nn.Module,
    make_optimizer: Callable[[Groups], Optimizer],
    make_scheduler: Callable[[Optimizer], LRScheduler],
    head_lr: float | None,
    max_grad_norm: float | None,
    chunk_size: int | None = None,
    compiled: bool = False,
    method: Method | None = None,
    layer_lr_decay: float | None = None,
    frozen_batchnorm: bool = False,
) -> Learner:
    """Build a learner: moves the parts to the device and assigns learning rates to parameters.

    With several processes on GPUs, BatchNorm in training mode sees the whole batch.

    Args:
        head_lr, max_grad_norm, chunk_size: as in conf/trainer.
        compiled: whether torch.compile compiles the backbone, at its first batch.
        method: the training method; None is `methods.plain.Plain`.
        layer_lr_decay: as in conf/trainer.
        frozen_batchnorm: see `Learner`.

    Raises:
        ValueError: float16 is combined with chunks, whose gradients would miss the scaling of the
            loss, or with a fused optimizer, whose gradients would be clipped while scaled.
    """
    scaled = uses_grad_scaler(fabric)
    if scaled and chunk_size is not None:
        raise ValueError("trainer.chunk_size needs trainer.precision=bf16-mixed or 32-true")
    if fabric.world_size > 1 and trains_batchnorm(model):
        model = synchronize_batchnorm(model, fabric.device)
    method = Plain(model, criterion) if method is None else method
    criterion.to(fabric.device)
    method.to(fabric.device)
    model.to(memory_format=torch.channels_last)  # makes convolutions faster, on CPU and GPU
    if compiled:
        model.compile()  # in place: parameters keep their names
    optimizer = make_optimizer(parameter_groups(model, criterion, head_lr, method, layer_lr_decay))
    apply_lr_scale(optimizer)
    if scaled and optimizer.defaults.get("fused"):
        raise ValueError("optimizer.fused needs trainer.precision=bf16-mixed or 32-true")
    scheduler = make_scheduler(optimizer)
    wrapped, wrapped_optimizer = fabric.setup(model, optimizer)
    if chunk_size is None:
        gradients = partial(whole_batch_gradients, fabric, wrapped, method, criterion)
    else:
        gradients = partial(chunked_gradients, fabric, wrapped, method, criterion, chunk_size)
    return Learner(
        fabric,
        wrapped,
        criterion,
        method,
        wrapped_optimizer,
        scheduler,
        gradients,
        float("inf") if max_grad_norm is None else max_grad_norm,
        frozen_batchnorm,
    )


def uses_grad_scaler(fabric: Fabric) -> bool:
    """Whether the precision is float16, whose small gradients would vanish without scaling."""
    return getattr(fabric.strategy.precision, "scaler", None) is not None


def synchronize_batchnorm(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with statistics of BatchNorm over the batches of all processes, on GPUs."""
    if device.type != "cuda":
        log.warning("BatchNorm normalises the part of each process; torch can sync it on GPUs only")
        return model
    # torch's own conversion loses the activation that timm has in the same layer; imported here
    # because it takes seconds
    from timm.layers import convert_sync_batchnorm

    synchronized: nn.Module = convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return synchronized


def trains_batchnorm(model: nn.Module) -> bool:
    """Whether a BatchNorm of the model takes its statistics from the batch while it trains."""
    norms = [module for module in model.train().modules() if isinstance(module, _BatchNorm)]
    return any(norm.training for norm in norms)
