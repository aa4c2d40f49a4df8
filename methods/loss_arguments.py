"""Arguments of a loss: whether it, and every loss inside it, can be called with one."""

import inspect
from collections.abc import Iterator

from torch import nn


def loss_without(criterion: nn.Module, argument: str) -> nn.Module | None:
    """The first loss in a criterion that does not take an argument such as `references`.

    A loss that passes on whatever it is given, such as a weighted sum, takes what all losses inside
    it take.
    """
    return next((loss for loss in losses_called(criterion) if argument not in names(loss)), None)


def losses_called(criterion: nn.Module) -> Iterator[nn.Module]:
    """The losses that a call of a criterion reaches with all of its arguments."""
    parameters = inspect.signature(criterion.forward).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        yield criterion
        return
    for part in criterion.children():
        parts = part.children() if isinstance(part, nn.ModuleList | nn.ModuleDict) else [part]
        for loss in parts:
            if "labels" in names(loss):
                yield from losses_called(loss)


def names(module: nn.Module) -> set[str]:
    """Names of the arguments of a call."""
    return set(inspect.signature(module.forward).parameters)


def inner_miner(criterion: nn.Module) -> nn.Module | None:
    """The first loss inside a criterion that has a miner, which given tuples would replace."""
    parts = (part for part in criterion.modules() if part is not criterion)
    return next((part for part in parts if getattr(part, "miner", None) is not None), None)
