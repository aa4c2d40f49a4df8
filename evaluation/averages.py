"""From one score per query to numbers: over queries, classes, categories, and how sure they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.types import Labels, Scores
from evaluation.bootstrap import intervals
from evaluation.sums import sums_by_group
from evaluation.undefined import UndefinedError


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
    bootstrap: int = 0
    confidence: float = 0.95
    seed: int = 0

    def names(self, metric: str) -> list[str]:
        """The numbers of a metric, its mean over queries first; categories are not known yet."""
        by_class = [f"{metric}/class_average"] if self.by_class else []
        return [metric, *by_class, *([f"{metric}/low", f"{metric}/high"] if self.bootstrap else [])]

    def of(
        self, metric: str, scores: Scores, labels: Labels, categories: Sequence[str] | None
    ) -> dict[str, Tensor]:
        """The numbers of one metric by their names.

        Args:
            scores: one for each query with something to find; its label and its category follow.

        Raises:
            UndefinedError: no query has anything to find.
        """
        if len(scores) == 0:
            raise UndefinedError("no query has anything relevant in the gallery")
        means = [scores.mean()]
        if self.by_class:
            means.append(
                means_by_group(scores, torch.unique(labels, return_inverse=True)[1]).mean()
            )
        if self.bootstrap:
            means += intervals(
                scores[None],
                resamples=self.bootstrap,
                confidence=self.confidence,
                seed=self.seed,
            )[0]
        numbers = dict(zip(self.names(metric), means, strict=True))
        if self.by_category and categories is not None and any(categories):
            names = sorted(set(categories))
            code = {name: i for i, name in enumerate(names)}
            groups = torch.tensor([code[name] for name in categories], device=scores.device)
            of_category = means_by_group(scores, groups)
            numbers |= {f"{metric}/{name}": of_category[code[name]] for name in names}
        return numbers


def means_by_group(scores: Scores, groups: Labels) -> Scores:
    """The mean score of each group 0..G-1, all of which occur."""
    sums, sizes = sums_by_group(scores[:, None], groups, int(groups.max()) + 1)
    return sums[:, 0] / sizes
