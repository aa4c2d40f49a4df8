"""Equal metrics: metrics of a run that are equal by definition, whatever the embeddings are."""

from collections.abc import Mapping
from typing import Any

MetricConfigs = Mapping[str, Mapping[str, Any]]  # as in conf/metric: name -> _target_ and arguments
RECALL = "evaluation.metrics.recall.recall_at_k"
AT_ONE = (  # with k = 1, each is 1 if the nearest neighbour is relevant, else 0
    RECALL,
    "evaluation.metrics.precision.precision_at_k",
    "evaluation.metrics.map_at_k.map_at_k",
    "evaluation.metrics.ndcg.ndcg_at_k",
)


def equal_metrics(metrics: MetricConfigs) -> dict[str, str]:
    """For each metric the first metric that is equal to it by definition, usually itself.

    Two metrics are equal if function and arguments are, such as cmc@1 and recall@1, or if both say
    whether the nearest neighbour is relevant, such as precision@1 and recall@1.

    >>> recall = {"_target_": RECALL, "k": 1}
    >>> precision = {"_target_": AT_ONE[1], "k": 1}
    >>> equal_metrics({"recall@1": recall, "precision@1": precision, "recall@2": recall | {"k": 2}})
    {'recall@1': 'recall@1', 'precision@1': 'recall@1', 'recall@2': 'recall@2'}
    """
    first: dict[str, str] = {}
    return {name: first.setdefault(definition(metric), name) for name, metric in metrics.items()}


def definition(metric: Mapping[str, Any]) -> str:
    """The function and the arguments of a metric as text; the same for equal metrics."""
    if metric.get("_target_") in AT_ONE and metric.get("k") == 1:
        metric = {**metric, "_target_": RECALL}
    return str(sorted(metric.items()))
