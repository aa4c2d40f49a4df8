"""The evaluation of an embedded set: search once, cluster once, score every metric."""

import logging
import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from jaxtyping import Bool
from torch import Tensor

from core.types import Embeddings, Labels
from evaluation.chunks import MEMORY
from evaluation.kmeans import kmeans
from evaluation.measured_set import Clustering, MeasuredSet, Method
from evaluation.metric import Metric, depth_of, direction_of, needs_of
from evaluation.space import Distance
from evaluation.undefined import UndefinedError

log = logging.getLogger(__name__)

Results = dict[str, float | list[float]]

COUNTS = ("num_queries", "num_queries_excluded")


class Evaluation:
    """Measures an embedded set by named metrics.

    A metric is a function whose parameters without a default name what it needs:

        ranking     evaluation.ranking.Ranking; the metric returns one score per query
        neighbors   evaluation.nearest.Neighbors, as many as the metric's argument `k` says
        clusters    (N,) cluster of each sample
        pairs       evaluation.pairs.Pairs of queries and gallery items; lower is better
        spectrum    (min(N, D),) singular values of the embeddings; centered_spectrum: of the
                    embeddings minus their mean
        embeddings  (N, D), labels (N,), and gallery (M,), which of them can be found

    Each is computed only if a metric asks for it, and once. Scores are averaged over queries,
    metrics of clusters over the restarts. A metric that raises `UndefinedError` is NaN, and the
    reason is logged once.

    Args:
        metrics: name -> metric.
        distance: `cosine` or `euclidean`, of neighbours and clusters.
        clustering: how clusters are formed.
        num_clusters: None takes the number of classes of the evaluated set.
        restarts: clusterings from different starts, averaged.
        seed: of the first clustering; the next ones count up.
        memory: working memory in bytes of search and clustering.

    Raises:
        TypeError: a metric asks for something that does not exist.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        *,
        distance: Distance = "cosine",
        clustering: Clustering = kmeans,
        num_clusters: int | None = None,
        restarts: int = 1,
        seed: int = 0,
        memory: int = MEMORY,
    ) -> None:
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
        self.method = Method(distance, clustering, num_clusters, seeds, memory, depth)
        self._explained: set[str] = set()

    @property
    def higher_is_better(self) -> dict[str, bool | None]:
        """Direction of every number; None where neither is better."""
        directions: dict[str, bool | None] = dict.fromkeys([*self.metrics, *COUNTS])
        return directions | {name: direction_of(needs) for name, needs in self.needs.items()}

    @torch.no_grad()
    def __call__(
        self,
        embeddings: Embeddings,
        labels: Labels,
        is_query: Bool[Tensor, " N"] | None = None,
        is_gallery: Bool[Tensor, " N"] | None = None,
    ) -> Results:
        """Every metric by its name, as plain floats or lists of them.

        Besides the metrics: `num_queries`, the queries that were scored, and
        `num_queries_excluded`, those without any relevant item in the gallery.

        Args:
            is_query: None means every sample; `is_gallery` likewise.
        """
        if embeddings.device.type == "mps":  # has no float64
            embeddings, labels = embeddings.cpu(), labels.cpu()
        measured = MeasuredSet(embeddings, labels, is_query, is_gallery, self.method)
        results = self._retrieval(measured)
        for name, needs in self.needs.items():
            if "ranking" not in needs:
                results[name] = self._value(name, partial(self._measure, name, measured))
        order = [*self.metrics, *COUNTS]
        return {name: results[name] for name in order if name in results}

    def _retrieval(self, measured: MeasuredSet) -> Results:
        """The metrics of the ranking, all of them on one pass over the queries."""
        scores: dict[str, list[Tensor]] = {
            name: [] for name, needs in self.needs.items() if "ranking" in needs
        }
        if not scores:
            return {}
        num_queries = 0
        for queries, ranking in measured.rankings():
            num_queries += len(queries)
            for name, parts in scores.items():
                parts.append(self.metrics[name](ranking=ranking))
        results = {name: self._value(name, partial(mean, parts)) for name, parts in scores.items()}
        excluded = len(measured.queries) - num_queries
        return {**results, **dict(zip(COUNTS, (num_queries, excluded), strict=True))}

    def _measure(self, name: str, measured: MeasuredSet) -> Tensor:
        """One metric of anything but the ranking, averaged over the clusterings if it asks."""
        needs = self.needs[name]
        given = {need: getattr(measured, need) for need in needs - {"clusters"}}
        if "neighbors" in needs:
            given["neighbors"] = given["neighbors"].first(self.depths[name])
        if "clusters" not in needs:
            return self.metrics[name](**given)
        values = [self.metrics[name](clusters=c, **given) for c in measured.clusterings]
        return torch.stack(values).mean(dim=0)

    def _value(self, name: str, compute: Callable[[], Tensor]) -> float | list[float]:
        """The number or numbers as plain floats; NaN and a line in the log if there is none."""
        try:
            value: float | list[float] = compute().tolist()
        except UndefinedError as reason:
            if name not in self._explained:
                log.warning("%s is undefined: %s", name, reason)
                self._explained.add(name)
            return math.nan
        return value


def mean(scores: list[Tensor]) -> Tensor:
    """Mean over all queries of their scores, which come in parts."""
    if not scores:
        raise UndefinedError("no query has anything relevant in the gallery")
    return torch.cat(scores).mean()
