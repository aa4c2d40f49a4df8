"""Parameters that an objective trains itself, with their learning rates."""

from typing import Any, Protocol, runtime_checkable

Groups = list[dict[str, Any]]  # as torch's optimizers take them


@runtime_checkable
class HasParameterGroups(Protocol):
    """An objective with parameters of its own: prototypes, boundaries."""

    def parameter_groups(self) -> Groups: ...


def collect_parameter_groups(objective: object) -> Groups:
    """The groups of an objective; none if it trains nothing."""
    return objective.parameter_groups() if isinstance(objective, HasParameterGroups) else []
