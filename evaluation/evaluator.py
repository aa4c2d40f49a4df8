"""Evaluator: scores embeddings by every metric, as a whole or within their categories."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from core.ranges import PositiveInt, Seed
from core.types import Embeddings, Labels
from evaluation.averages import Averages
from evaluation.categories import (
    by_category,
    category_labels,
    check_categories,
    mean_over_categories,
    positions_by_category,
)
from evaluation.clustering.kmeans import kmeans
from evaluation.embedded_set import Clustering, SearchConfig, check_embeddings, flagged_indices
from evaluation.metrics.metric import Metric
from evaluation.per_query import PerQuery, merge
from evaluation.results import Results
from evaluation.samples import Samples, with_float64
from evaluation.search.backend import Backend, check_backend
from evaluation.search.chunks import MEMORY
from evaluation.search.ignored_items import Groups
from evaluation.search.space import Distance
from evaluation.set_evaluator import SetEvaluator
from evaluation.transforms.transform import Transform, apply_transform


class Evaluator:
    """Evaluator: computes named metrics of embeddings.

    The parameters of a metric name its inputs (`evaluation.metrics.metric`). Each input is computed
    once, and only if a metric uses it; see `evaluation.set_evaluator`.

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
        within: `category` evaluates each category on its own: queries search only the gallery of
            their category, clusters are those of its samples, and each metric is the mean over the
            categories that have a query and in which it is defined. None evaluates the whole set.
        level: `label`, or `category` to evaluate the super-classes: items of the category of a
            query are relevant.
        transform: map of the embeddings before the evaluation, `evaluation.transforms`; None
            leaves them as they are.

    Raises:
        TypeError, ValueError: a metric has an unknown input, the backend does not exist, or
            `within` goes with neither `level` nor `averages`.
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
        within: Literal["category"] | None = None,
        level: Literal["label", "category"] = "label",
        transform: Transform | None = None,
    ) -> None:
        check_backend(backend, torch.device("cpu"))
        if restarts < 1:
            raise ValueError(f"restarts must be at least 1, got {restarts}")
        self.averages = averages or Averages()
        self.metrics, self.within, self.level = dict(metrics), within, level
        self.transform = transform
        self._check_within()
        seeds = range(seed, seed + restarts)
        config = SearchConfig(distance, clustering, num_clusters, seeds, memory, backend=backend)
        self.evaluate_set = SetEvaluator(self.metrics, self.averages, config)
        self.config = self.evaluate_set.config

    @property
    def higher_is_better(self) -> dict[str, bool | None]:
        """Whether each number is better when higher; None if neither direction is better."""
        return self.evaluate_set.higher_is_better

    @property
    def metrics_by_category(self) -> list[str]:
        """The metrics that have a number `<metric>/<category>` for each category."""
        if not self.averages.by_category:
            return []
        return list(self.evaluate_set.retrieval if self.within is None else self.metrics)

    @torch.no_grad()
    def __call__(
        self,
        embeddings: Embeddings,
        labels: Labels,
        is_query: Bool[Tensor, " N"] | None = None,
        is_gallery: Bool[Tensor, " N"] | None = None,
        categories: Sequence[str] | None = None,
        ignore_groups: Groups | None = None,
    ) -> Results:
        """Compute every metric, returned by name as plain floats or lists of floats.

        The results also hold `num_queries`, the number of scored queries, and
        `num_queries_excluded`, the number of queries without a relevant item in the gallery.

        Args:
            is_query: which samples are queries; None means all of them.
            is_gallery: which samples form the gallery; None means all of them.
            categories: super-class of each sample; used if `averages` averages by category, or by
                `within` and `level`.
            ignore_groups: group of each sample; a query ignores the gallery items of its group,
                which are neither relevant nor irrelevant. None means that it ignores only itself.

        Raises:
            CategoryError: `within` or `level` needs categories, and a sample has none.
        """
        given = Samples(embeddings, labels, is_query, is_gallery, categories, ignore_groups)
        samples = self.prepare(given)
        if self.within is None:
            return self.evaluate_set(samples)
        results = {
            category: self.evaluate_set(samples.subset(positions), by_category=False)
            for category, positions in positions_by_category(samples).items()
        }
        return mean_over_categories(results) | by_category(results, self.metrics_by_category)

    @torch.no_grad()
    def with_queries(
        self,
        embeddings: Embeddings,
        labels: Labels,
        is_query: Bool[Tensor, " N"] | None = None,
        is_gallery: Bool[Tensor, " N"] | None = None,
        categories: Sequence[str] | None = None,
        ignore_groups: Groups | None = None,
        *,
        k: int = 10,
    ) -> tuple[Results, PerQuery]:
        """Compute every metric and, from the same search, a table of k neighbours per query."""
        if k < 1:
            raise ValueError(f"the number of neighbours k must be at least 1, got {k}")
        given = Samples(embeddings, labels, is_query, is_gallery, categories, ignore_groups)
        samples = self.prepare(given)
        if self.within is None:
            return self.evaluate_set.with_queries(samples, k)
        results, tables = {}, []
        for category, positions in positions_by_category(samples).items():
            part = samples.subset(positions)
            results[category], table = self.evaluate_set.with_queries(part, k, by_category=False)
            tables.append((table, positions.tolist()))
        mean, single = mean_over_categories(results), by_category(results, self.metrics_by_category)
        return mean | single, merge(tables)

    def prepare(self, samples: Samples) -> Samples:
        """The samples that are evaluated: with labels of the `level`, and transformed embeddings.

        Raises:
            CategoryError: see `check_categories`.
        """
        embeddings, labels = with_float64(samples.embeddings), with_float64(samples.labels)
        self.check_categories(samples.categories, len(labels))
        if self.level == "category":
            assert samples.categories is not None
            labels = category_labels(samples.categories).to(labels.device)
        if self.transform is not None:
            check_embeddings(embeddings, labels)
            gallery = flagged_indices(samples.is_gallery, labels)
            embeddings = apply_transform(self.transform, embeddings, gallery)
        return samples._replace(embeddings=embeddings, labels=labels)

    def check_categories(self, categories: Sequence[str] | None, num: int) -> None:
        """Raise a `CategoryError` if the evaluation needs categories and a sample has none."""
        for setting in ("within", "level"):
            if getattr(self, setting) == "category":
                check_categories(categories, num, f"{setting}=category")

    def _check_within(self) -> None:
        """Check that the other settings have a meaning in evaluations of single categories."""
        if self.within not in (None, "category") or self.level not in ("label", "category"):
            raise ValueError(
                "within must be category or None and level label or category, "
                f"got {self.within!r} and {self.level!r}"
            )
        if self.within and self.level == "category":
            raise ValueError("within=category needs level=label: a category has itself as class")
        if self.within and self.averages.bootstrap:
            raise ValueError("within=category needs averages.bootstrap=0: it has no interval")
