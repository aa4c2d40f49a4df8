"""Set evaluator: computes every metric of one set of samples, with one search and clustering."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

import torch
from torch import Tensor

from evaluation.averages import Averages
from evaluation.embedded_set import EmbeddedSet, SearchConfig
from evaluation.metrics.metric import Metric, compute_metric, depth_of, direction_of, inputs_of
from evaluation.metrics.undefined import UndefinedError
from evaluation.per_query import SCORES, PerQuery, query_table
from evaluation.query_scores import QueryScores, score_queries
from evaluation.results import COUNTS, Results
from evaluation.samples import Samples

log = logging.getLogger(__name__)


class SetEvaluator:
    """Set evaluator: computes every metric of one set of samples, as plain floats by name.

    Retrieval scores are averaged over queries. Clustering metrics are averaged over restarts, with
    the standard deviation as `<metric>/std`. A metric that raises `UndefinedError` is NaN, and the
    reason is logged once.

    Attributes:
        retrieval: the metrics that score queries by their ranking.

    Args:
        metrics: name -> metric.
        averages: averages of the query scores.
        config: search and clustering; its depth becomes the largest one that a metric uses.

    Raises:
        ComponentError: a metric has an unknown input.
    """

    def __init__(
        self, metrics: Mapping[str, Metric], averages: Averages, config: SearchConfig
    ) -> None:
        self.metrics, self.averages = dict(metrics), averages
        self.inputs = {name: inputs_of(name, metric) for name, metric in self.metrics.items()}
        self.depths = {
            name: depth_of(name, self.metrics[name])
            for name, inputs in self.inputs.items()
            if "neighbors" in inputs
        }
        self.config = replace(config, depth=max(self.depths.values(), default=1))
        self.retrieval = {n: m for n, m in self.metrics.items() if "ranking" in self.inputs[n]}
        self._warned: set[str] = set()

    @property
    def higher_is_better(self) -> dict[str, bool | None]:
        """Whether each number is better when higher; None if neither direction is better."""
        directions: dict[str, bool | None] = dict.fromkeys(COUNTS)
        for name, inputs in self.inputs.items():
            directions |= dict.fromkeys(self._names(name), direction_of(inputs))
        return directions | {name: None for name in directions if name.endswith("/std")}

    def __call__(self, samples: Samples, *, by_category: bool = True) -> Results:
        """Compute every metric; the results also hold the numbers of queries, see `COUNTS`.

        Args:
            by_category: whether `averages` may use the categories of the samples.
        """
        embedded_set = embedded_set_of(samples, self.config)
        scores = score_queries(embedded_set, self.retrieval)
        return self._results(embedded_set, scores, samples.categories if by_category else None)

    def with_queries(
        self, samples: Samples, k: int, *, by_category: bool = True
    ) -> tuple[Results, PerQuery]:
        """Compute every metric and, from the same search, a table of k neighbours per query."""
        config = replace(self.config, depth=max(k, self.config.depth))
        embedded_set = embedded_set_of(samples, config)
        scores = score_queries(embedded_set, self.retrieval | SCORES)
        categories = samples.categories if by_category else None
        results = self._results(embedded_set, scores, categories)
        return results, query_table(embedded_set, scores, samples.categories, k)

    def _results(
        self, embedded_set: EmbeddedSet, query_scores: QueryScores, categories: Sequence[str] | None
    ) -> Results:
        averages = cache(partial(self._averages, query_scores, embedded_set.labels, categories))

        def compute(name: str) -> dict[str, Tensor]:
            return averages()[name] if name in self.retrieval else self._score(name, embedded_set)

        results: Results = {}
        for name in self.metrics:
            results |= self._to_floats(name, partial(compute, name))
        if self.retrieval:
            excluded = len(embedded_set.queries) - len(query_scores.queries)
            results |= dict(zip(COUNTS, (len(query_scores.queries), excluded), strict=True))
        return results

    def _averages(
        self, query_scores: QueryScores, labels: Tensor, categories: Sequence[str] | None
    ) -> dict[str, dict[str, Tensor]]:
        """Average the scores of every retrieval metric."""
        if categories is not None:
            categories = [categories[q] for q in query_scores.queries.tolist()]
        scores = {name: query_scores.by_metric[name] for name in self.retrieval}
        return self.averages.compute(scores, labels[query_scores.queries], categories)

    def _score(self, name: str, embedded_set: EmbeddedSet) -> dict[str, Tensor]:
        """Compute a metric without per-query scores; mean and deviation over clusterings."""
        inputs = self.inputs[name]
        arguments = {one: getattr(embedded_set, one) for one in inputs - {"clusters"}}
        if "neighbors" in inputs:
            arguments["neighbors"] = arguments["neighbors"].first(self.depths[name])
        compute = partial(compute_metric, name, self.metrics[name], **arguments)
        if "clusters" not in inputs:
            return {name: compute()}
        per_restart = torch.stack([compute(clusters=c) for c in embedded_set.clusterings])
        deviation = [per_restart.std(dim=0)] if len(per_restart) > 1 else []
        return dict(zip(self._names(name), [per_restart.mean(dim=0), *deviation], strict=True))

    def _names(self, name: str) -> list[str]:
        """Names of the results of one metric, without those of its categories."""
        if name in self.retrieval:
            return self.averages.names(name)
        has_restarts = "clusters" in self.inputs[name] and len(self.config.clustering_seeds) > 1
        return [name, f"{name}/std"] if has_restarts else [name]

    def _to_floats(self, name: str, compute: Callable[[], dict[str, Tensor]]) -> Results:
        """Results of a metric as plain floats; NaN and a warning if the metric is undefined."""
        try:
            return {number: value.tolist() for number, value in compute().items()}
        except UndefinedError as reason:
            if name not in self._warned:
                log.warning("%s is undefined: %s", name, reason)
                self._warned.add(name)
            return dict.fromkeys(self._names(name), math.nan)


def embedded_set_of(samples: Samples, config: SearchConfig) -> EmbeddedSet:
    """The embedded set of the samples."""
    embeddings, labels, is_query, is_gallery, _, groups = samples
    return EmbeddedSet(embeddings, labels, is_query, is_gallery, config, groups)
