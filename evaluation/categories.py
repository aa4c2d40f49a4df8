"""Each category evaluated as if it were the whole dataset."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from core.types import Embeddings, Labels
from evaluation.evaluator import COUNTS, Evaluator, Results


def within_categories(
    evaluation: Evaluator,
    embeddings: Embeddings,
    labels: Labels,
    categories: Sequence[str],
    is_query: Bool[Tensor, " N"] | None = None,
    is_gallery: Bool[Tensor, " N"] | None = None,
) -> dict[str, Results]:
    """All metrics of each category, its queries searching and clustering among themselves.

    Unlike `<metric>/<category>` of `evaluation.averages.Averages`, whose queries search the whole
    gallery: here only those neighbours are in the way that share the category. The mean over the
    categories, `mean_over_categories`, is what the WithSameParentLabelTester of
    pytorch-metric-learning reports.

    Args:
        categories: super-class of each sample.
    """
    results = {}
    for category in sorted(set(categories)):
        chosen = torch.from_numpy(np.asarray(categories) == category).to(labels.device)
        results[category] = evaluation(
            embeddings[chosen],
            labels[chosen],
            None if is_query is None else is_query.to(labels.device)[chosen],
            None if is_gallery is None else is_gallery.to(labels.device)[chosen],
        )
    return results


def mean_over_categories(results: dict[str, Results]) -> Results:
    """The mean of every number over the categories where it is defined, each counting the same.

    Numbers of queries are added up; spectra, lists of numbers, are left out.
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
