"""What a metric is: a function that names what it measures by its parameters.

A parameter without a default is one of these; every other one is bound in the metric's YAML.

    ranking            evaluation.metrics.ranking.Ranking; the metric returns one score per query
    neighbors          evaluation.search.knn.Neighbors, as many as the metric's argument `k` says
    clusters           (N,) cluster of each sample
    pairs              evaluation.search.pairs.Pairs of every query and gallery item
    spectrum           (min(N, D),) singular values of the embeddings, largest first
    centered_spectrum  likewise, of the embeddings minus their mean
    embeddings         (N, D) as the model put them out
    labels             (N,)
    gallery            (M,) indices of the samples that can be found

A metric of a ranking or of clusters is better when higher, one of pairs when lower; the others,
which describe the embedding space, have no better direction.
"""

import inspect
from collections.abc import Callable

from torch import Tensor

from core.errors import ComponentError

Metric = Callable[..., Tensor]

METRIC_INPUTS = {  # whether a metric of it is better when higher
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
    """The parameters of a metric that have no default yet."""
    parameters = inspect.signature(metric).parameters.values()
    needs = {p.name for p in parameters if p.default is inspect.Parameter.empty}
    if not needs or needs - set(METRIC_INPUTS):
        wanted = ", ".join(sorted(needs - set(METRIC_INPUTS))) or "nothing"
        raise ComponentError(
            f"metric {name} asks for {wanted}; there is {', '.join(sorted(METRIC_INPUTS))}; every "
            "other argument needs a value in the metric's YAML"
        )
    if "ranking" in needs and len(needs) > 1:
        raise ComponentError(
            f"metric {name} scores queries by their ranking and can ask for no more"
        )
    return needs


def check_value(
    name: str, value: object, wanted: str, shape: tuple[int, ...] | None = None
) -> None:
    """Raise unless a metric returned a tensor, of this shape if there is one.

    Raises:
        ComponentError: names the metric, and what it should return.
    """
    if isinstance(value, Tensor) and shape in (None, tuple(value.shape)):
        return
    got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    raise ComponentError(f"metric {name} must return {wanted}, got {got}")


def direction_of(needs: set[str]) -> bool | None:
    """Whether a metric of these is better when higher; None if neither is better."""
    directions = {METRIC_INPUTS[need] for need in needs} - {None}
    return directions.pop() if len(directions) == 1 else None


def depth_of(name: str, metric: Metric) -> int:
    """How many neighbours a metric of the neighbours looks at: its `k`."""
    k = inspect.signature(metric).parameters.get("k")
    if k is None or not isinstance(k.default, int):
        raise ComponentError(
            f"metric {name} asks for neighbors and must say how many by an argument k"
        )
    return k.default
