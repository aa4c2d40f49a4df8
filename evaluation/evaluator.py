"""Evaluator: scores an embedded set by every metric, with one search and one clustering."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

import torch
from jaxtyping import Bool
from torch import Tensor

from core.ranges import PositiveInt, Seed
from core.types import Embeddings, Labels
from evaluation.averages import Averages
from evaluation.clustering.kmeans import kmeans
from evaluation.embedded_set import Clustering, EmbeddedSet, SearchConfig
from evaluation.metrics.metric import Metric, compute_metric, depth_of, direction_of, inputs_of
from evaluation.metrics.undefined import UndefinedError
from evaluation.per_query import SCORES, PerQuery, query_table
from evaluation.query_scores import QueryScores, score_queries
from evaluation.search.backend import Backend, check_backend
from evaluation.search.chunks import MEMORY
from evaluation.search.space import Distance

log = logging.getLogger(__name__)

Results = dict[str, float | list[float]]

COUNTS = ("num_queries", "num_queries_excluded")


class Evaluator:
    """Evaluator: computes named metrics of an embedded set.

    The parameters of a metric name its inputs (`evaluation.metrics.metric`). Each input is computed
    once, and only if a metric uses it. Retrieval scores are averaged over queries. Clustering
    metrics are averaged over restarts, with the standard deviation as `<metric>/std`. A metric that
    raises `UndefinedError` is NaN, and the reason is logged once.

    Args:
        metrics: name -> metric.
        distance: `cosine` or `euclidean`, for both neighbours and clusters.
        clustering: clustering algorithm, such as `evaluation.clustering.kmeans.kmeans`.
        num_clusters: None means the number of classes in the evaluated set.
        restarts: number of clusterings with different seeds that are averaged.
        seed: seed of the first clustering; the next ones use seed + 1, seed + 2, ...
        averages: averages of the scores that are computed besides their mean over queries.
        backend: search backend: `torch`, `two_stage` (CPU only), `faiss`, or `auto`, the fastest.
        memory: working memory in bytes of search and clustering.

    Raises:
        TypeError, ValueError: a metric has an unknown input, or the backend does not exist.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        *,
        distance: Distance = "cosine",
        clustering: Clustering = kmeans,
        num_clusters: PositiveInt | None = None,
        restarts: PositiveInt = 1,
        seed: Seed = 0,
        backend: Backend = "auto",
        memory: PositiveInt = MEMORY,
        averages: Averages | None = None,
    ) -> None:
        check_backend(backend, torch.device("cpu"))
        if restarts < 1:
            raise ValueError(f"restarts must be at least 1, got {restarts}")
        self.metrics = dict(metrics)
        self.inputs = {name: inputs_of(name, metric) for name, metric in self.metrics.items()}
        seeds = range(seed, seed + restarts)
        self.depths = {
            name: depth_of(name, self.metrics[name])
            for name, inputs in self.inputs.items()
            if "neighbors" in inputs
        }
        depth = max(self.depths.values(), default=1)
        self.config = SearchConfig(
            distance, clustering, num_clusters, seeds, memory, depth, backend
        )
        self.averages = averages or Averages()
        self.retrieval = {n: m for n, m in self.metrics.items() if "ranking" in self.inputs[n]}
        self._warned: set[str] = set()

    @property
    def higher_is_better(self) -> dict[str, bool | None]:
        """Whether each number is better when higher; None if neither direction is better."""
        directions: dict[str, bool | None] = dict.fromkeys(COUNTS)
        for name, inputs in self.inputs.items():
            directions |= dict.fromkeys(self._names(name), direction_of(inputs))
        return directions | {name: None for name in directions if name.endswith("/std")}

    @torch.no_grad()
    def __call__(
        self,
        embeddings: Embeddings,
        labels: Labels,
        is_query: Bool[Tensor, " N"] | None = None,
        is_gallery: Bool[Tensor, " N"] | None = None,
        categories: Sequence[str] | None = None,
    ) -> Results:
        """Compute every metric, returned by name as plain floats or lists of floats.

        The results also hold `num_queries`, the number of scored queries, and
        `num_queries_excluded`, the number of queries without a relevant item in the gallery.

        Args:
            is_query: which samples are queries; None means all of them.
            is_gallery: which samples form the gallery; None means all of them.
            categories: super-class of each sample; used if `averages` averages by category.
        """
        embeddings, labels = with_float64(embeddings), with_float64(labels)
        embedded_set = EmbeddedSet(embeddings, labels, is_query, is_gallery, self.config)
        return self._results(embedded_set, score_queries(embedded_set, self.retrieval), categories)

    @torch.no_grad()
    def with_queries(
        self,
        embeddings: Embeddings,
        labels: Labels,
        is_query: Bool[Tensor, " N"] | None = None,
        is_gallery: Bool[Tensor, " N"] | None = None,
        categories: Sequence[str] | None = None,
        *,
        k: int = 10,
    ) -> tuple[Results, PerQuery]:
        """Compute every metric and, from the same search, a table of k neighbours per query."""
        if k < 1:
            raise ValueError(f"the number of neighbours k must be at least 1, got {k}")
        embeddings, labels = with_float64(embeddings), with_float64(labels)
        config = replace(self.config, depth=max(k, self.config.depth))
        embedded_set = EmbeddedSet(embeddings, labels, is_query, is_gallery, config)
        query_scores = score_queries(embedded_set, self.retrieval | SCORES)
        results = self._results(embedded_set, query_scores, categories)
        return results, query_table(embedded_set, query_scores, categories, k)

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
        self, query_scores: QueryScores, labels: Labels, categories: Sequence[str] | None
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


def with_float64(values: Tensor) -> Tensor:
    """The values on a device that supports float64: the CPU instead of MPS."""
    return values.cpu() if values.device.type == "mps" else values
