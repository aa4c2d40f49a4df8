"""From one score per query to numbers: over queries, classes, categories, and how sure they are."""

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
    """Which numbers are made of the scores of a metric, besides their mean over queries.

        <metric>/class_average    mean over classes of the mean over the queries of the class
        <metric>/<category>       mean over the queries of a category, in the whole gallery
        <metric>/low, /high       bootstrap interval of the mean over queries

    Only queries with something to find count. Elsewhere: the class average is avg_of_avgs in
    pytorch-metric-learning.

    Args:
        by_class: whether classes are averaged.
        by_category: whether categories are, where the dataset has any.
        bootstrap: resamples of the interval, 0 for none; see `evaluation.bootstrap`.
        confidence: of the interval.
        seed: of the resamples, the same for all metrics.
    """

    by_class: bool = False
    by_category: bool = False
    bootstrap: NonNegativeInt = 0
    confidence: OpenFraction = 0.95
    seed: Seed = 0

    def names(self, metric: str) -> list[str]:
        """The numbers of a metric, its mean over queries first; categories are not known yet."""
        by_class = [f"{metric}/class_average"] if self.by_class else []
        return [metric, *by_class, *([f"{metric}/low", f"{metric}/high"] if self.bootstrap else [])]

    def compute(
        self,
        scores: Mapping[str, Scores],
        labels: Labels,
        categories: Sequence[str] | None = None,
    ) -> dict[str, dict[str, Tensor]]:
        """The numbers of every metric by their names.

        Args:
            scores: metric -> one for each query with something to find, at least one metric.
            labels: those of these queries; `categories` likewise.

        Raises:
            UndefinedError: no query has anything to find.
        """
        if len(labels) == 0:
            raise UndefinedError("no query has anything relevant in the gallery")
        table = torch.stack(list(scores.values()), dim=1)
        columns = [table.mean(dim=0)]
        if self.by_class:
            of_class = means_by_group(table, torch.unique(labels, return_inverse=True)[1])
            columns.append(of_class.mean(dim=0))
        if self.bootstrap:
            columns += self._interval(table)
        names = {metric: self.names(metric) for metric in scores}
        if self.by_category and categories is not None and any(categories):
            names_of_categories, groups = np.unique(np.asarray(categories), return_inverse=True)
            columns += means_by_group(table, torch.from_numpy(groups).to(table.device))
            names = {
                metric: [
                    *names[metric],
                    *(f"{metric}/{category}" for category in names_of_categories),
                ]
                for metric in names
            }
        numbers = torch.stack(columns).unbind(dim=1)
        return {
            metric: dict(zip(names[metric], row, strict=True))
            for metric, row in zip(scores, numbers, strict=True)
        }

    def _interval(self, table: Float[Tensor, "Q M"]) -> tuple[Tensor, ...]:
        """Lower and upper ends for every metric."""
        ends = bootstrap_intervals(
            table.T, resamples=self.bootstrap, confidence=self.confidence, seed=self.seed
        )
        return ends.unbind(dim=1)


def means_by_group(table: Float[Tensor, "Q M"], groups: Labels) -> Float[Tensor, "G M"]:
    """The mean of each column over each group 0..G-1, all of which occur."""
    sums, sizes = sums_by_group(table, groups, int(groups.max()) + 1)
    return sums / sizes[:, None]
