"""Parameter groups of a loss: the parameters it trains itself, with their learning rates."""

from typing import Any, Protocol, runtime_checkable

Groups = list[dict[str, Any]]  # as torch's optimizers take them


@runtime_checkable
class HasParameterGroups(Protocol):
    """A loss with trained parameters, such as prototypes or boundaries."""

    def parameter_groups(self) -> Groups: ...


def collect_parameter_groups(objective: object) -> Groups:
    """The parameter groups of a loss; none if it trains nothing."""
    return objective.parameter_groups() if isinstance(objective, HasParameterGroups) else []
