"""What learns: backbone, criterion, optimizer and schedule, placed on a device by Fabric."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from core.parameter_groups import Groups
from engine.checkpoint import Stateful
from engine.parameter_groups import parameter_groups
from engine.step import StepResult, train_steps

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Learner:
    """The parts of a run that change while it trains; `set_up` builds one."""

    fabric: Fabric
    model: _FabricModule
    criterion: nn.Module
    optimizer: _FabricOptimizer
    scheduler: LRScheduler
    max_grad_norm: float
    chunk_size: int | None = None
    adapt: Callable[[int], object] = lambda _step: None  # after each step

    def steps(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[StepResult]:
        """One optimizer step and one step of the learning rate schedule per batch."""
        steps = train_steps(
            self.fabric,
            self.model,
            self.criterion,
            batches,
            self.optimizer,
            self.max_grad_norm,
            self.chunk_size,
        )
        for step in steps:
            self.scheduler.step()
            yield step

    @property
    def scaled(self) -> bool:
        """Whether gradients are scaled up, and steps whose gradient is not finite passed over."""
        return scales_gradients(self.fabric)

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def embedder(self) -> dict[str, Stateful]:
        """What is needed to embed images and to compute the loss again."""
        return {"model": self.model, "criterion": self.criterion}

    def state(self) -> dict[str, Stateful]:
        """Everything a resumed run must find as it was."""
        return {
            **self.embedder(),
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
) -> Learner:
    """Move everything to the device of `fabric` and give every parameter its learning rate.

    Of several processes on GPUs, BatchNorm that is trained sees the whole batch, too.

    Args:
        head_lr, max_grad_norm, chunk_size: as in conf/trainer.
        compiled: whether torch.compile makes one program of the backbone, at its first batch.

    Raises:
        ValueError: gradients in float16 that are taken in chunks, or by a fused optimizer: they
            would miss the scaling of the loss, or would be measured and clipped while scaled.
    """
    scaled = scales_gradients(fabric)
    if scaled and chunk_size is not None:
        raise ValueError("trainer.chunk_size needs trainer.precision=bf16-mixed or 32-true")
    if fabric.world_size > 1 and fabric.device.type != "cuda" and trains_batchnorm(model):
        log.warning("BatchNorm normalises the part of each process; torch can sync it on GPUs only")
    elif fabric.world_size > 1 and fabric.device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    criterion.to(fabric.device)
    model.to(memory_format=torch.channels_last)  # convolutions are faster so, on CPU and GPU
    if compiled:
        model.compile()  # in place: parameters keep their names
    optimizer = make_optimizer(parameter_groups(model, criterion, head_lr))
    if scaled and optimizer.defaults.get("fused"):
        raise ValueError("optimizer.fused needs trainer.precision=bf16-mixed or 32-true")
    scheduler = make_scheduler(optimizer)
    wrapped, wrapped_optimizer = fabric.setup(model, optimizer)
    return Learner(
        fabric,
        wrapped,
        criterion,
        wrapped_optimizer,
        scheduler,
        float("inf") if max_grad_norm is None else max_grad_norm,
        chunk_size,
    )


def scales_gradients(fabric: Fabric) -> bool:
    """Whether the precision is float16, whose small gradients would vanish unscaled."""
    return getattr(fabric.strategy.precision, "scaler", None) is not None


def trains_batchnorm(model: nn.Module) -> bool:
    """Whether a BatchNorm of the model takes its statistics from the batch while it trains."""
    norms = [module for module in model.train().modules() if isinstance(module, _BatchNorm)]
    return any(norm.training for norm in norms)
