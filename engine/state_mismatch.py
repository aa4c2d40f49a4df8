"""Comparison of a saved state with the part of a run that is about to load it."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn


def state_mismatch(part: object, state: object) -> str | None:
    """The first difference between a part of a run and a saved state; None if they match.

    Args:
        part: a module, whose parameters and buffers must have the same names and shapes; an
            optimizer, whose parameter groups must have the same sizes; or another stateful object.
        state: the saved state.
    """
    if not isinstance(state, dict):
        return f"a {type(state).__name__} instead of a state"
    if isinstance(part, nn.Module):
        return weights_mismatch(part.state_dict(), state)
    expected, found = (
        group_sizes(groups)
        for groups in (getattr(part, "param_groups", []), state.get("param_groups", []))
    )
    return None if expected == found else f"groups of {found} parameters instead of {expected}"


def weights_mismatch(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """The first difference between two states of a module; extra states are compared by name."""
    if others := sorted(expected.keys() ^ found.keys()):
        return f"{others[0]} is {'missing' if others[0] in expected else 'not of this run'}"
    for name, tensor in expected.items():
        if isinstance(tensor, Tensor) and not name.endswith("_extra_state"):
            if not isinstance(found[name], Tensor):
                return f"{name} is a {type(found[name]).__name__} instead of a tensor"
            if found[name].shape != tensor.shape:
                shapes = tuple(found[name].shape), tuple(tensor.shape)
                return f"{name} has the shape {shapes[0]} instead of {shapes[1]}"
    return None


def group_sizes(groups: Sequence[Mapping[str, Any]]) -> list[int]:
    """The number of parameters in each group of an optimizer."""
    return [len(group["params"]) for group in groups]
