"""Directions of metrics: whether higher or lower is better.

The function names in the configuration of a run are data: they are compared with those in
conf/metric/ and never imported.
"""

from collections.abc import Container, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import instantiate

from evaluation.metrics.metric import direction_of, inputs_of

METRICS = Path(__file__).parents[1] / "conf" / "metric"


def directions(
    configs: Iterable[Mapping[str, Any]], names: Iterable[str]
) -> dict[str, bool | None]:
    """Direction of each metric: True if higher is better, False if lower, None if neither.

    A metric has the direction of its name in conf/metric/, else that of the function that measures
    it, if conf/metric/ names this function; any other has none.

    Args:
        configs: the configurations of the runs.
        names: the metrics, without their split.
    """
    known = {**measured_alike(configs), **by_name()}
    return {
        name: None if name.endswith("/std") else known.get(metric_in(name, known)) for name in names
    }


def foreign(config: Mapping[str, Any]) -> dict[str, str]:
    """Metrics that a function outside conf/metric/ computes: metric -> the name of the function."""
    return {name: t for name, t in measuring(config).items() if t not in by_target()}


def metric_in(name: str, known: Container[str]) -> str:
    """The metric whose direction a number has: the first part of its name that is a metric.

    Averages have the direction of their metric, as do the metrics of one of several embeddings:
    `recall@1/class_average` and `slice_1/recall@1` have that of `recall@1`.
    """
    return next((part for part in name.split("/") if part in known), name)


def measured_alike(configs: Iterable[Mapping[str, Any]]) -> dict[str, bool | None]:
    """The direction of every metric that a function of conf/metric/ computes under another name."""
    return {
        name: by_target()[target]
        for config in configs
        for name, target in measuring(config).items()
        if target in by_target()
    }


def measuring(config: Mapping[str, Any]) -> dict[str, str]:
    """Metric -> the function that a run names for it."""
    metrics = config.get("metric") or {}
    return {
        str(name): str(metric.get("_target_")) if isinstance(metric, Mapping) else str(metric)
        for name, metric in metrics.items()
    }


@cache
def by_name() -> dict[str, bool | None]:
    """The direction of every metric of conf/metric/."""
    return {
        name: direction_of(inputs_of(name, instantiate(metric))) for name, metric in ours().items()
    }


@cache
def by_target() -> dict[str, bool | None]:
    """The direction of every function that conf/metric/ names."""
    return {metric["_target_"]: by_name()[name] for name, metric in ours().items()}


@cache
def ours() -> dict[str, Any]:
    """Every metric of conf/metric/."""
    files = sorted(METRICS.glob("*.yaml"))
    return {k: v for file in files for k, v in yaml.safe_load(file.read_text()).items()}
