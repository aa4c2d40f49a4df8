"""Evaluation within categories: each super-class is evaluated as a dataset of its own."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from core.types import Embeddings, Labels
from evaluation.evaluator import COUNTS, Evaluator, Results


def within_categories(
    evaluator: Evaluator,
    embeddings: Embeddings,
    labels: Labels,
    categories: Sequence[str],
    is_query: Bool[Tensor, " N"] | None = None,
    is_gallery: Bool[Tensor, " N"] | None = None,
) -> dict[str, Results]:
    """Evaluate each category on its own: queries search only the gallery items of their category.

    The `<metric>/<category>` of `evaluation.averages.Averages` differs: its queries search the
    whole gallery. The mean over categories (`mean_over_categories`) is what the
    WithSameParentLabelTester of pytorch-metric-learning reports.

    Args:
        evaluator: metrics to compute.
        categories: super-class of each sample.
        is_query: which samples are queries; None means all of them.
        is_gallery: which samples form the gallery; None means all of them.
    """
    results = {}
    for category in sorted(set(categories)):
        in_category = torch.from_numpy(np.asarray(categories) == category).to(labels.device)
        results[category] = evaluator(
            embeddings[in_category],
            labels[in_category],
            None if is_query is None else is_query.to(labels.device)[in_category],
            None if is_gallery is None else is_gallery.to(labels.device)[in_category],
        )
    return results


def mean_over_categories(results: dict[str, Results]) -> Results:
    """Unweighted mean of every metric over the categories in which it is defined.

    Numbers of queries are summed. Metrics that are lists, such as spectra, are excluded.
    """
    names = [
        name for name, value in next(iter(results.values())).items() if type(value) is not list
    ]
    mean: Results = {}
    for name in names:
        values = np.array([result[name] for result in results.values()], dtype=float)
        defined = values[~np.isnan(values)]
        if name in COUNTS:
            mean[name] = int(values.sum())
        else:
            mean[name] = float(defined.mean()) if len(defined) else math.nan
    return mean
