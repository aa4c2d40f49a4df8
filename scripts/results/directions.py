"""Which way a metric is better, as the functions say that measure it."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import instantiate

from evaluation.metric import direction_of, needs_of

METRICS = Path(__file__).parents[2] / "conf" / "metric"


def directions(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, bool | None]:
    """Metric without its split -> True if higher is better, False if lower, None if neither.

    Args:
        config: of a run; where it does not say how a metric is measured, conf/metric/ does.
        names: the metrics that are asked for.
    """
    known = {**ours(), **(config.get("metric") or {})}
    return {name: direction(name, known.get(stem(name))) for name in names}


def stem(name: str) -> str:
    """`recall@1/class` -> `recall@1`: averages of a metric have its direction."""
    return name.split("/")[0]


def direction(name: str, measured: Any) -> bool | None:  # noqa: ANN401
    if measured is None or name.endswith("/std"):
        return None
    metric = instantiate(measured)
    return direction_of(needs_of(name, metric))


@cache
def ours() -> dict[str, Any]:
    """Every metric of conf/metric/."""
    files = sorted(METRICS.glob("*.yaml"))
    return {k: v for file in files for k, v in yaml.safe_load(file.read_text()).items()}
