"""The keys of a run that are no components, with their types and ranges.

Those that name the folder of a run are in `engine.config.names`, which needs no torch.
conf/ has their values and says what they mean. Components state the types and ranges of their
arguments in their own signatures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from core.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from core.types import Miner
from engine.config.names import FolderSettings, Text
from engine.config.values import Settings
from evaluation.evaluator import Evaluator

# here and not in engine.data.image_source, which imports torchvision and with it torch._dynamo
ImageSource = Literal["auto", "files", "cache", "device"]
Made = Callable[..., Any]  # called again by the run, with what it waits for


@dataclass(frozen=True)
class TrainerSettings(Settings):
    """conf/trainer."""

    epochs: NonNegativeInt
    iterations: NonNegativeInt | None
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "bf16", 32, 16]
    accelerator: Literal["auto", "cpu", "cuda", "gpu", "mps", "tpu"]
    devices: PositiveInt
    num_nodes: PositiveInt
    strategy: Text
    chunk_size: PositiveInt | None
    workers: Literal["auto"] | NonNegativeInt
    source: ImageSource
    cache_gib: NonNegativeFloat | None
    compile: bool
    head_lr: NonNegativeFloat | None
    max_grad_norm: PositiveFloat | None
    evaluate_every_epochs: PositiveInt
    evaluate_every_iterations: PositiveInt | None
    patience: NonNegativeInt | None
    log_every: PositiveInt
    checkpoint_every: PositiveInt
    storage_metrics: Sequence[str]


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """conf/evaluation."""

    batch_size: PositiveInt
    train_metrics: bool
    select_on: str
    measure: Evaluator


@dataclass(frozen=True)
class RunSettings(FolderSettings):
    """conf/config.yaml: the groups, and what stands beside them."""

    num_classes: PositiveInt
    validation: Made
    transform: object
    sampler: Made
    backbone: nn.Module
    optimizer: Made
    metric: Mapping[str, Made]
    dataset: object
    batchminer: Miner | None
    loss: nn.Module
    scheduler: Made
    evaluation: EvaluationSettings
    trainer: TrainerSettings
    tracker: Made
