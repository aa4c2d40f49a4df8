"""Hook: code that a run calls after its steps, evaluations and epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from core.types import Embeddings, Labels
from tracking.metrics_log import Record
from tracking.summary import Directions


class Decision(Enum):
    """Decision of a hook; a hook that returns None lets the run go on."""

    STOP = "stop"


STOP = Decision.STOP


@dataclass(frozen=True)
class HookContext:
    """Context of a call: what a hook may read.

    Args:
        step: optimizer steps taken.
        epoch: epochs completed; whole numbers at the end of an epoch.
        total_steps: length of the run, unless it stops earlier.
        model: the backbone, without the wrapper of several devices.
        criterion: the loss, with its miner and its parameters.
        folder: the folder of the run.
        directions: metric without its split -> whether higher is better; None has no direction.
        measurements: `train/loss`, `train/grad_norm`, ... of the step, tensors on the device; in
            `after_step` only. Reading one, as `float(...)` does, waits for the device: a hook that
            does so after every step slows a GPU down.
        results: `<split>/<metric>` -> value of the evaluation; in `after_evaluation` only.
        evaluations: the records of all evaluations so far, the latest one last, with `step` and
            `epoch`; in `after_evaluation` of the first process only. NaN is recorded as None.
    """

    step: int
    epoch: float
    total_steps: int
    model: nn.Module
    criterion: nn.Module
    folder: Path
    directions: Directions
    measurements: Mapping[str, Tensor] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    evaluations: Sequence[Record] = ()


@dataclass(frozen=True)
class EmbeddedSplit:
    """Embedded split: the embeddings of a split as an evaluation measures them.

    Args:
        name: `test`, or `test/ema` for other weights that a hook evaluates beside.
        embeddings: (N, D), on the device.
        labels: (N,), on the device; they number `class_names`.
        paths: the N image files.
        class_names: the C classes.
    """

    name: str
    embeddings: Embeddings
    labels: Labels
    paths: Sequence[str]
    class_names: Sequence[str]


class Hook:
    """Hook: base class of what a run calls; every method does nothing until it is overridden.

    A run calls `start`; after each step `after_step`, at the end of an epoch `after_epoch`; in an
    evaluation `after_embedding` for each split, then `after_evaluation`; and `at_end`. A run that
    fails or is interrupted does not call `at_end`. A method that returns `STOP` ends the run: this
    step is its last one, is evaluated and saved. What a hook does must not change random states,
    else the run differs from one without the hook.

    An object is built in every process, and once more when the configuration is checked: a
    constructor keeps its arguments, `start` opens files.

    Attributes:
        all_processes: whether every process of a run on several devices calls the hook; by default
            the first one only. The decision of the first process holds for all of them.
        may_stop: False promises that the hook never returns `STOP`, which spares several processes
            a message after each call.
    """

    all_processes: ClassVar[bool] = False
    may_stop: ClassVar[bool] = True

    def start(self, context: HookContext) -> None:
        """Begin: the model has its initial weights, `load_state_dict` follows in a resumed run."""

    def after_step(self, context: HookContext) -> Decision | None:
        """Run after every optimizer step, before the step is recorded, evaluated or saved."""

    def after_epoch(self, context: HookContext) -> Decision | None:
        """Run after the last step of every epoch, before that step is evaluated or saved."""

    def after_embedding(self, context: HookContext, split: EmbeddedSplit) -> None:
        """Run in an evaluation, for every split as soon as it is embedded."""

    def after_evaluation(self, context: HookContext) -> Decision | None:
        """Run after every evaluation, when its results are recorded."""

    def at_end(self, context: HookContext) -> None:
        """Run once at the end, when `summary.json` is written."""

    def state_dict(self) -> dict[str, Any]:
        """The state that a resumed run restores: tensors, numbers, text, lists, dictionaries.

        The checkpoint holds the state of the first process.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state; tensors are on the CPU."""
