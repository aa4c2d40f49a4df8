"""Metric interface: a metric is a function whose parameters name its inputs.

A parameter without a default is one of the inputs below. All others are bound in the metric's YAML.

    ranking            evaluation.metrics.ranking.Ranking; the metric returns one score per query
    neighbors          evaluation.search.neighbors.Neighbors, the `k` nearest of each query, where
                       `k` is another argument of the metric
    clusters           (N,) cluster of each sample
    pairs              evaluation.search.pairs.Pairs, all pairs of a query and a gallery item
    spectrum           (min(N, D),) singular values of the embeddings, largest first
    centered_spectrum  (min(N, D),) singular values of the embeddings minus their mean
    embeddings         (N, D) as the model returns them
    labels             (N,)
    gallery            (M,) indices of the gallery items

Metrics of `ranking` or `clusters` are better when higher, metrics of `pairs` when lower. The other
metrics describe the embedding space and have no better direction.
"""

import inspect
from collections.abc import Callable

from torch import Tensor

from core.errors import ComponentError

Metric = Callable[..., Tensor]

METRIC_INPUTS = {  # whether a metric with this input is better when higher
    "ranking": True,
    "clusters": True,
    "neighbors": None,
    "pairs": False,
    "spectrum": None,
    "centered_spectrum": None,
    "embeddings": None,
    "labels": None,
    "gallery": None,
}


def inputs_of(name: str, metric: Metric) -> set[str]:
    """Names of the inputs of a metric: its parameters without a default."""
    parameters = inspect.signature(metric).parameters.values()
    inputs = {p.name for p in parameters if p.default is inspect.Parameter.empty}
    if not inputs or inputs - set(METRIC_INPUTS):
        unknown = ", ".join(sorted(inputs - set(METRIC_INPUTS))) or "nothing"
        raise ComponentError(
            f"metric {name} asks for {unknown}; there is {', '.join(sorted(METRIC_INPUTS))}; every "
            "other argument needs a value in the metric's YAML"
        )
    if "ranking" in inputs and len(inputs) > 1:
        raise ComponentError(
            f"metric {name} scores queries by their ranking and can ask for no more"
        )
    return inputs


def compute_metric(name: str, metric: Metric, **inputs: object) -> Tensor:
    """The value of a metric of these inputs.

    Raises:
        ComponentError: it is no tensor.
    """
    value = metric(**inputs)
    check_value(name, value, "a tensor: one number, or a vector of them")
    return value


def check_value(
    name: str, value: object, expected: str, shape: tuple[int, ...] | None = None
) -> None:
    """Raise unless a metric returned a tensor, and of this shape if `shape` is given.

    Raises:
        ComponentError: names the metric and what it must return.
    """
    if isinstance(value, Tensor) and shape in (None, tuple(value.shape)):
        return
    got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    raise ComponentError(f"metric {name} must return {expected}, got {got}")


def direction_of(inputs: set[str]) -> bool | None:
    """Whether a metric with these inputs is better when higher; None if neither is better."""
    directions = {METRIC_INPUTS[name] for name in inputs} - {None}
    return directions.pop() if len(directions) == 1 else None


def depth_of(name: str, metric: Metric) -> int:
    """Number of neighbours per query that a metric uses: its argument `k`."""
    k = inspect.signature(metric).parameters.get("k")
    if k is None or not isinstance(k.default, int):
        raise ComponentError(
            f"metric {name} asks for neighbors and must say how many by an argument k"
        )
    return k.default
