"""Validation feedback: parts of a criterion that adapt to validation metrics during training."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

from torch import nn

from datasets.images import Images
from engine.config.errors import ConfigurationError

SPLIT = "val"


@runtime_checkable
class ValidationFeedback(Protocol):
    """A part of a criterion that adapts to validation metrics, such as the policy of a miner.

    The adapted state is part of its `state_dict()`.
    """

    every: int  # optimizer steps
    metrics: Sequence[str]  # names without split

    def adapt(self, metrics: Mapping[str, float], progress: float) -> None: ...


@dataclass(frozen=True)
class FeedbackLoop:
    """Evaluates the validation split for the parts that are due, and passes them the metrics."""

    parts: Sequence[ValidationFeedback]
    measure: Callable[[], Mapping[str, Any]]
    total_steps: int

    def __call__(self, step: int) -> None:
        """Run after optimizer step `step`, before the step is recorded or saved."""
        due = [part for part in self.parts if step % part.every == 0]
        if due:
            measured = self.measure()
            metrics = {name.removeprefix(f"{SPLIT}/"): value for name, value in measured.items()}
            for part in due:
                part.adapt(metrics, step / self.total_steps)


def feedback_loop(
    criterion: nn.Module,
    splits: Mapping[str, Images],
    measure: Callable[[Mapping[str, Images]], Mapping[str, Any]],
    measured: Collection[str],
    total_steps: int,
) -> FeedbackLoop:
    """The feedback loop of every part of the criterion that is a `ValidationFeedback`.

    Args:
        measure: measures the given splits; results are named `<split>/<metric>`.
        measured: names of the metrics, without split.
        total_steps: number of optimizer steps of the run.

    Raises:
        ConfigurationError: there is no validation split, or a metric is missing.
    """
    parts = [module for module in criterion.modules() if isinstance(module, ValidationFeedback)]
    for part in parts:
        name = type(part).__name__
        if SPLIT not in splits:
            raise ConfigurationError(
                f"{name} learns from a validation split and the run has none; choose "
                "validation=samples or validation=classes"
            )
        missing = sorted(set(part.metrics) - set(measured))
        if missing:
            raise ConfigurationError(
                f"{name} learns from metrics that are not measured: {', '.join(missing)}; add "
                "their groups to metric=[...], or change its list of metrics"
            )
    validation = {name: images for name, images in splits.items() if name == SPLIT}
    return FeedbackLoop(parts, partial(measure, validation), total_steps)
