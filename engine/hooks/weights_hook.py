"""Weights hook: keeps other weights of the backbone, such as an average, which are evaluated."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from typing import Any, ClassVar, Literal

from torch import nn

from engine.hooks.hook import Hook, HookContext
from evaluation.results import COUNTS
from tracking.summary import Directions

Evaluated = Literal["beside", "instead"]


class WeightsHook(Hook):
    """Weights hook: base class of hooks with other weights of the backbone, which are evaluated.

    Beside the weights in training, their results are named `<split>/<name>/<metric>`, and a storage
    metric of such a name saves them. Instead, all results are theirs, and `best_<metric>.pt` holds
    them; training itself goes on with its own weights. The weights need the memory of one more
    backbone, and beside costs one more evaluation.

    Args:
        evaluated: `beside` or `instead`.
        name: of the results beside.

    Attributes:
        copy: the backbone with the other weights, on the device, from `start` on.
    """

    all_processes: ClassVar[bool] = True
    copy: nn.Module

    def __init__(self, evaluated: Evaluated = "beside", name: str = "average") -> None:
        if not name or "/" in name:
            raise ValueError(f"name={name!r}: must be one word of <split>/<name>/<metric>")
        self.evaluated, self.name = evaluated, name

    def start(self, context: HookContext) -> None:
        """Copy the initial weights."""
        self.copy = deepcopy(context.model).eval().requires_grad_(False)

    @property
    def is_beside(self) -> bool:
        """Whether the weights are evaluated beside those in training."""
        return self.evaluated == "beside"

    def directions(self, own: Directions) -> dict[str, bool | None]:
        """The directions of the results beside: `recall@1` -> `<name>/recall@1`.

        The numbers of queries are those of the weights in training, and are left out.
        """
        return {f"{self.name}/{name}": own[name] for name in own if not is_count(name)}

    def named(self, results: Mapping[str, Any]) -> dict[str, Any]:
        """The results beside: `test/recall@1` -> `test/<name>/recall@1`."""
        parts = {key: key.partition("/") for key in results}
        return {
            f"{split}/{self.name}/{metric}": results[key]
            for key, (split, _, metric) in parts.items()
            if not is_count(metric)
        }

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.copy.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.copy.load_state_dict(state["model"])


def is_count(metric: str) -> bool:
    """Whether a metric is a number of queries, of the whole embedding or of a part."""
    return metric.rpartition("/")[2] in COUNTS


@contextmanager
def exchanged(model: nn.Module, copy: nn.Module) -> Iterator[None]:
    """Exchange the parameters and buffers of two modules in a `with` block, without copying."""
    _exchange(model, copy)
    try:
        yield
    finally:
        _exchange(model, copy)


def _exchange(model: nn.Module, copy: nn.Module) -> None:
    first, second = (chain(module.parameters(), module.buffers()) for module in (model, copy))
    for one, other in zip(first, second, strict=True):
        one.data, other.data = other.data, one.data
