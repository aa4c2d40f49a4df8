"""Averages of query scores: over queries, classes and categories, with confidence intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.ranges import NonNegativeInt, OpenFraction, Seed
from core.types import Labels, Scores
from evaluation.bootstrap import bootstrap_intervals
from evaluation.clustering.sums import sums_by_group
from evaluation.metrics.undefined import UndefinedError


@dataclass(frozen=True)
class Averages:
    """Averages: computes means and confidence intervals of the query scores of each metric.

        <metric>                  mean over queries
        <metric>/class_average    mean over classes of the mean over the queries of the class
        <metric>/<category>       mean over the queries of a category, which search all the gallery;
                                  with `Evaluator(within="category")` their category only
        <metric>/low, /high       bootstrap confidence interval of the mean over queries

    Queries without a relevant item are excluded. Elsewhere: the class average is avg_of_avgs in
    pytorch-metric-learning.

    Args:
        by_class: whether to compute the class average.
        by_category: whether to average by category, if the dataset has categories.
        bootstrap: number of resamples of the interval, 0 for no interval; see
            `evaluation.bootstrap`.
        confidence: confidence level of the interval.
        seed: seed of the resamples, the same for all metrics.
    """

    by_class: bool = False
    by_category: bool = False
    bootstrap: NonNegativeInt = 0
    confidence: OpenFraction = 0.95
    seed: Seed = 0

    def names(self, metric: str) -> list[str]:
        """Names of the averages of a metric, the mean over queries first, without categories."""
        by_class = [f"{metric}/class_average"] if self.by_class else []
        return [metric, *by_class, *([f"{metric}/low", f"{metric}/high"] if self.bootstrap else [])]

    def compute(
        self,
        scores: Mapping[str, Scores],
        labels: Labels,
        categories: Sequence[str] | None = None,
    ) -> dict[str, dict[str, Tensor]]:
        """Compute the averages of every metric: metric -> name -> value.

        Args:
            scores: metric -> one score per query with a relevant item; at least one metric.
            labels: labels of these queries.
            categories: super-classes of these queries.

        Raises:
            UndefinedError: no query has a relevant item in the gallery.
        """
        if len(labels) == 0:
            raise UndefinedError("no query has anything relevant in the gallery")
        table = torch.stack(list(scores.values()), dim=1)
        columns = [table.mean(dim=0)]
        if self.by_class:
            class_means = means_by_group(table, torch.unique(labels, return_inverse=True)[1])
            columns.append(class_means.mean(dim=0))
        if self.bootstrap:
            columns += self._interval(table)
        names = {metric: self.names(metric) for metric in scores}
        if self.by_category and categories is not None and any(categories):
            category_names, groups = np.unique(np.asarray(categories), return_inverse=True)
            columns += means_by_group(table, torch.from_numpy(groups).to(table.device))
            names = {
                metric: [
                    *names[metric],
                    *(f"{metric}/{category}" for category in category_names),
                ]
                for metric in names
            }
        numbers = torch.stack(columns).unbind(dim=1)
        return {
            metric: dict(zip(names[metric], row, strict=True))
            for metric, row in zip(scores, numbers, strict=True)
        }

    def _interval(self, table: Float[Tensor, "Q M"]) -> tuple[Tensor, ...]:
        """Lower and upper ends of the confidence interval of every metric."""
        ends = bootstrap_intervals(
            table.T, resamples=self.bootstrap, confidence=self.confidence, seed=self.seed
        )
        return ends.unbind(dim=1)


def means_by_group(table: Float[Tensor, "Q M"], groups: Labels) -> Float[Tensor, "G M"]:
    """Mean of each column over each group 0..G-1; every group is non-empty."""
    sums, sizes = sums_by_group(table, groups, int(groups.max()) + 1)
    return sums / sizes[:, None]
