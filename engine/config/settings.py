"""Settings of a run: the keys besides the arguments of components, with their types and ranges.

The keys that name the folder of a run are in `engine.config.names`, which does not import torch.
The YAML files in conf/ hold the values and explain them. Components state the types and ranges of
their arguments in their own signatures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from core.ranges import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveFraction,
    PositiveInt,
)
from core.types import Miner
from engine.config.names import FolderSettings, Text
from engine.config.values import Settings
from evaluation.evaluator import Evaluator

# here and not in engine.data.image_source, which imports torchvision and with it torch._dynamo
ImageSource = Literal["auto", "files", "cache", "device"]
Progress = Literal["auto", "lines", "bar", "none"]
Factory = Callable[..., Any]  # a partial; the run passes the remaining arguments


@dataclass(frozen=True)
class TrainerSettings(Settings):
    """Keys of conf/trainer."""

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
    features: Literal["trained", "frozen"]
    feature_views: NonNegativeInt
    freeze: Sequence[Text]
    head_lr: NonNegativeFloat | None
    layer_lr_decay: PositiveFraction | None
    max_grad_norm: PositiveFloat | None
    evaluate_every_epochs: PositiveInt
    evaluate_every_iterations: PositiveInt | None
    patience: NonNegativeInt | None
    log_every: PositiveInt
    checkpoint_every: PositiveInt
    progress: Progress
    storage_metrics: Sequence[str]


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """Keys of conf/evaluation."""

    batch_size: PositiveInt
    train_metrics: bool
    select_on: str
    measure: Evaluator


@dataclass(frozen=True)
class RunSettings(FolderSettings):
    """Keys of conf/config.yaml: the groups, and the keys beside them."""

    num_classes: PositiveInt
    validation: Factory
    transform: object
    sampler: Factory
    backbone: nn.Module
    optimizer: Factory
    metric: Mapping[str, Factory]
    dataset: object
    batchminer: Miner | None
    loss: nn.Module
    method: Factory
    scheduler: Factory
    evaluation: EvaluationSettings
    trainer: TrainerSettings
    tracker: Factory
    hooks: Mapping[str, object] = field(default_factory=dict)  # see engine.config.hooks
