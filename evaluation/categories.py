"""Categories of samples, their super-classes: classes of their own, or separate evaluations."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from core.errors import UserError
from core.types import Labels
from evaluation.results import COUNTS, Results
from evaluation.samples import Samples


class CategoryError(UserError, ValueError):
    """An evaluation needs the category of every sample, and the dataset does not state it."""


def check_categories(categories: Sequence[str] | None, num: int, setting: str) -> None:
    """Raise a `CategoryError` unless each of `num` samples has a category.

    Args:
        setting: what needs them, for the message, such as `within=category`.
    """
    missing = num if categories is None else sum(not category for category in categories)
    if missing:
        raise CategoryError(
            f"evaluation.measure.{setting} needs the category of every sample, and {missing} of "
            f"{num} samples have none; sop, inshop, grocery_store and omniglot_small state it, and "
            "a CSV file in its column `category`"
        )


def category_names(categories: Sequence[str]) -> list[str]:
    """The categories that occur, sorted."""
    return sorted(set(categories))


def category_labels(categories: Sequence[str]) -> Labels:
    """Labels of the samples by their category: its index in `category_names`."""
    number = {name: index for index, name in enumerate(category_names(categories))}
    return torch.tensor([number[category] for category in categories])


def positions_by_category(samples: Samples) -> dict[str, Int[Tensor, " S"]]:
    """Positions of the samples of each category that has a query, in the order of its name.

    If no sample is a query, all categories count.
    """
    assert samples.categories is not None
    labels = category_labels(samples.categories)
    parts = torch.split(labels.argsort(stable=True), torch.bincount(labels).tolist())
    positions = dict(zip(category_names(samples.categories), parts, strict=True))
    if samples.is_query is None:
        return positions
    is_query = samples.is_query.cpu()
    return {name: own for name, own in positions.items() if is_query[own].any()} or positions


def mean_over_categories(results: Mapping[str, Results]) -> Results:
    """Unweighted mean of every metric over the categories in which it is defined.

    The WithSameParentLabelTester of pytorch-metric-learning reports this mean. Numbers of queries
    are summed. Metrics that are lists, such as spectra, are excluded.
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


def by_category(results: Mapping[str, Results], metrics: Sequence[str]) -> Results:
    """The results of the metrics in each category, as `<metric>/<category>`."""
    return {
        f"{metric}/{category}": own[metric]
        for metric in metrics
        for category, own in results.items()
    }
