"""The evaluation of an embedded set: search once, cluster once, score every metric."""

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
from evaluation.metrics.metric import Metric, check_value, depth_of, direction_of, needs_of
from evaluation.metrics.undefined import UndefinedError
from evaluation.per_query import SCORES, PerQuery, rows
from evaluation.query_scores import QueryScores, score_queries
from evaluation.search.backend import Backend, check
from evaluation.search.chunks import MEMORY
from evaluation.search.space import Distance

log = logging.getLogger(__name__)

Results = dict[str, float | list[float]]

COUNTS = ("num_queries", "num_queries_excluded")


class Evaluator:
    """Measures an embedded set by named metrics.

    A metric is a function that says by its parameters what it needs, see `evaluation.metrics.metric`;
    that is computed only if a metric asks for it, and once. Scores are averaged over queries,
    metrics of clusters over the restarts, whose spread is then `<metric>/std`. A metric that raises
    `UndefinedError` is NaN, and the reason is logged once.

    Args:
        metrics: name -> metric.
        distance: `cosine` or `euclidean`, of neighbours and clusters.
        clustering: how clusters are formed.
        num_clusters: None takes the number of classes of the evaluated set.
        restarts: clusterings from different starts, averaged.
        seed: of the first clustering; the next ones count up.
        averages: what is made of the scores besides their mean over queries.
        backend: who searches: `torch`, `certified` (on the CPU), `faiss`, or `auto`, the fastest.
        memory: working memory in bytes of search and clustering.

    Raises:
        TypeError: a metric asks for something that does not exist.
        ValueError: there is no such backend.
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
        check(backend, torch.device("cpu"))
        if restarts < 1:
            raise ValueError(f"restarts must be at least 1, got {restarts}")
        self.metrics = dict(metrics)
        self.needs = {name: needs_of(name, metric) for name, metric in self.metrics.items()}
        seeds = range(seed, seed + restarts)
        self.depths = {
            name: depth_of(name, self.metrics[name])
            for name, needs in self.needs.items()
            if "neighbors" in needs
        }
        depth = max(self.depths.values(), default=1)
        self.method = SearchConfig(
            distance, clustering, num_clusters, seeds, memory, depth, backend
        )
        self.averages = averages or Averages()
        self.retrieval = {n: m for n, m in self.metrics.items() if "ranking" in self.needs[n]}
        self._explained: set[str] = set()

    @property
    def higher_is_better(self) -> dict[str, bool | None]:
        """Direction of every number; None where neither is better."""
        directions: dict[str, bool | None] = dict.fromkeys(COUNTS)
        for name, needs in self.needs.items():
            directions |= dict.fromkeys(self._names(name), direction_of(needs))
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
        """Every metric by its name, as plain floats or lists of them.

        Besides the metrics: `num_queries`, the queries that were scored, and
        `num_queries_excluded`, those without any relevant item in the gallery.

        Args:
            is_query: None means every sample; `is_gallery` likewise.
            categories: super-class of each sample; used where `averages` asks for them.
        """
        embeddings, labels = with_float64(embeddings), with_float64(labels)
        measured = EmbeddedSet(embeddings, labels, is_query, is_gallery, self.method)
        return self._results(measured, score_queries(measured, self.retrieval), categories)

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
        """Every metric, and one row per query as of `evaluation.per_query`, from one search.

        Args:
            k: neighbours kept of each query.
        """
        if k < 1:
            raise ValueError(f"the number of neighbours k must be at least 1, got {k}")
        embeddings, labels = with_float64(embeddings), with_float64(labels)
        method = replace(self.method, depth=max(k, self.method.depth))
        measured = EmbeddedSet(embeddings, labels, is_query, is_gallery, method)
        scored = score_queries(measured, self.retrieval | SCORES)
        results = self._results(measured, scored, categories)
        return results, rows(measured, scored, categories, k)

    def _results(
        self, measured: EmbeddedSet, scored: QueryScores, categories: Sequence[str] | None
    ) -> Results:
        averages = cache(partial(self._averages, scored, measured.labels, categories))

        def numbers_of(name: str) -> dict[str, Tensor]:
            return averages()[name] if name in self.retrieval else self._measure(name, measured)

        results: Results = {}
        for name in self.metrics:
            results |= self._plain(name, partial(numbers_of, name))
        if self.retrieval:
            excluded = len(measured.queries) - len(scored.queries)
            results |= dict(zip(COUNTS, (len(scored.queries), excluded), strict=True))
        return results

    def _averages(
        self, scored: QueryScores, labels: Labels, categories: Sequence[str] | None
    ) -> dict[str, dict[str, Tensor]]:
        """The numbers made of the scores of every metric of the ranking."""
        if categories is not None:
            categories = [categories[q] for q in scored.queries.tolist()]
        scores = {name: scored.by_metric[name] for name in self.retrieval}
        return self.averages.of(scores, labels[scored.queries], categories)

    def _measure(self, name: str, measured: EmbeddedSet) -> dict[str, Tensor]:
        """One metric of anything but the ranking; mean and spread over several clusterings."""
        needs = self.needs[name]
        given = {need: getattr(measured, need) for need in needs - {"clusters"}}
        if "neighbors" in needs:
            given["neighbors"] = given["neighbors"].first(self.depths[name])
        metric = partial(self.metrics[name], **given)
        several = "clusters" in needs
        found = [metric(clusters=c) for c in measured.clusterings] if several else [metric()]
        for value in found:
            check_value(name, value, "a tensor: one number, or a vector of them")
        if not several:
            return {name: found[0]}
        values = torch.stack(found)
        spread = [values.std(dim=0)] if len(values) > 1 else []
        return dict(zip(self._names(name), [values.mean(dim=0), *spread], strict=True))

    def _names(self, name: str) -> list[str]:
        """The numbers of one metric, but for categories."""
        if name in self.retrieval:
            return self.averages.names(name)
        several = "clusters" in self.needs[name] and len(self.method.clustering_seeds) > 1
        return [name, f"{name}/std"] if several else [name]

    def _plain(self, name: str, compute: Callable[[], dict[str, Tensor]]) -> Results:
        """The numbers of a metric as plain floats; NaN and a line in the log if there are none."""
        try:
            return {number: value.tolist() for number, value in compute().items()}
        except UndefinedError as reason:
            if name not in self._explained:
                log.warning("%s is undefined: %s", name, reason)
                self._explained.add(name)
            return dict.fromkeys(self._names(name), math.nan)


def with_float64(values: Tensor) -> Tensor:
    """Where the device has no float64 (MPS), on the CPU."""
    return values.cpu() if values.device.type == "mps" else values
