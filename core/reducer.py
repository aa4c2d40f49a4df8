"""Reducers: reduce the losses of many tuples to one number.

A loss gives its reducer named `LossTerms`, with one row or entry per anchor. The reducer reduces
each term and adds the results. Without tuples the result is 0 with a gradient of 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from core.batch_checks import check_classes
from core.ranges import NonNegativeFloat, PositiveFloat
from core.types import Labels, Mask, Scalar


class LossTerms(NamedTuple):
    """Loss terms: the losses of one tuple per entry, or the sums of several, by anchor.

    All have the same shape, whose first dimension is the N anchors. An entry without tuples has
    losses, counts and active 0.
    """

    losses: Tensor  # sum of the losses of the tuples of an entry
    counts: Tensor  # number of these tuples, or their weight
    active: Tensor  # number of those with a loss above zero
    above: Tensor | None = None  # sum of those; None if no entry sums losses of both signs


def loss_terms(losses: Tensor, where: Mask | None = None) -> LossTerms:
    """Loss terms with one tuple per entry: of all entries, or of those that `where` marks."""
    if where is None:
        return LossTerms(losses, losses.new_ones(losses.shape), losses > 0)
    return LossTerms(losses.masked_fill(~where, 0), where, where & (losses > 0))


def weighted(losses: Tensor, weights: Tensor) -> LossTerms:
    """Loss terms with one tuple per entry, counted with its weight >= 0."""
    return LossTerms(weights * losses, weights, weights * (losses > 0))


@runtime_checkable
class Reducer(Protocol):
    """A reducer: takes the labels (N,) of the anchors and named terms, and returns one number."""

    def __call__(self, labels: Labels, /, **terms: LossTerms) -> Scalar: ...


class Mean:
    """Mean: averages over all tuples of each term, including those with a loss of zero.

    In pytorch-metric-learning: `MeanReducer`.
    """

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> Scalar:
        return _total(t.losses.sum() / _at_least_one(t.counts) for t in terms.values())


class NonZeroMean:
    """Nonzero mean: averages over the tuples of each term that have a loss above zero.

    In pytorch-metric-learning: `AvgNonZeroReducer`.
    """

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> Scalar:
        return _total(self._mean(t) for t in terms.values())

    def _mean(self, term: LossTerms) -> Tensor:
        above = term.losses.relu() if term.above is None else term.above
        return above.sum() / _at_least_one(term.active)


class Pooled:
    """Pooled mean: averages over the tuples of all terms together, including zero losses."""

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> Scalar:
        counts = _total(t.counts.sum() for t in terms.values())
        return _total(t.losses.sum() for t in terms.values()) / counts.clamp(min=1)


class Sum:
    """Sum: adds the losses of all tuples of all terms.

    In pytorch-metric-learning: `SumReducer`.
    """

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> Scalar:
        return _total(t.losses.sum() for t in terms.values())


class Divisor:
    """Divisor: sums over the tuples of each term and divides by a fixed number.

    In pytorch-metric-learning: `DivisorReducer`.

    Args:
        divisor: > 0, for instance the batch size; a batch with few tuples then has less weight.
    """

    def __init__(self, divisor: PositiveFloat) -> None:
        if divisor <= 0:
            raise ValueError(f"divisor must be above 0, got {divisor}")
        self.divisor = divisor

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> Scalar:
        return _total(t.losses.sum() / self.divisor for t in terms.values())


class Threshold:
    """Threshold: averages over the tuples of each term whose loss is between two bounds, exclusive.

    An entry of several tuples is compared by their mean. In pytorch-metric-learning:
    `ThresholdReducer`.

    Args:
        low: None has no lower bound.
        high: None has no upper bound.
    """

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        self.low = -float("inf") if low is None else low
        self.high = float("inf") if high is None else high
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {low} and {high}")

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> Scalar:
        return _total(self._mean(t) for t in terms.values())

    def _mean(self, term: LossTerms) -> Tensor:
        each = term.losses / term.counts.clamp(min=1)
        outside = (each <= self.low) | (each >= self.high)  # false for NaN, which must stay visible
        between = (term.counts > 0) & ~outside
        return term.losses.where(between, 0).sum() / _at_least_one(term.counts.where(between, 0))


class ClassWeighted:
    """Class-weighted mean: averages each loss times the weight of the class of its anchor.

    In pytorch-metric-learning: `ClassWeightedReducer`.

    Args:
        weights: one number >= 0 for each class 0..len(weights)-1.
    """

    def __init__(self, weights: Sequence[NonNegativeFloat]) -> None:
        self.weights = torch.tensor(weights, dtype=torch.float32)

    def __call__(self, labels: Labels, /, **terms: LossTerms) -> Scalar:
        check_classes(labels, len(self.weights))
        weights = self.weights.to(labels.device)[labels.long()]
        return _total(
            (weights.view(-1, *[1] * (t.losses.ndim - 1)) * t.losses).sum()
            / _at_least_one(t.counts)
            for t in terms.values()
        )


class PerAnchor:
    """Per-anchor reduction: averages the tuples of each anchor, then reduces over the anchors.

    Anchors without tuples are left out. In pytorch-metric-learning: `PerAnchorReducer`.

    Args:
        reducer: reduces over the anchors; None is the mean.
        total: whether to sum the tuples of an anchor instead of averaging them.
    """

    def __init__(self, reducer: Reducer | None = None, total: bool = False) -> None:
        self.reducer, self.total = reducer or Mean(), total

    def __call__(self, labels: Labels, /, **terms: LossTerms) -> Scalar:
        return self.reducer(labels, **{name: self._by_anchor(t) for name, t in terms.items()})

    def _by_anchor(self, term: LossTerms) -> LossTerms:
        counts = term.counts.flatten(1).sum(dim=1) if term.counts.ndim > 1 else term.counts
        losses = term.losses.flatten(1).sum(dim=1) if term.losses.ndim > 1 else term.losses
        each = losses if self.total else losses / counts.clamp(min=1)
        return loss_terms(each, where=counts > 0)


class PerTerm:
    """Per-term reduction: reduces each named term with its own reducer.

    In pytorch-metric-learning: `MultipleReducers`.

    Args:
        reducers: by the names of the terms, such as `positives` and `negatives`.
        default: for the other terms; None is the mean.
    """

    def __init__(self, reducers: Mapping[str, Reducer], default: Reducer | None = None) -> None:
        self.reducers, self.default = reducers, default or Mean()

    def __call__(self, labels: Labels, /, **terms: LossTerms) -> Scalar:
        unknown = sorted(self.reducers.keys() - terms.keys())
        if unknown:
            raise ValueError(f"reducers must name terms of {sorted(terms)}, got {unknown}")
        return _total(
            self.reducers.get(name, self.default)(labels, **{name: term})
            for name, term in terms.items()
        )


class NoReduction:
    """No reduction: returns the terms by name, for inspection.

    In pytorch-metric-learning: `DoNothingReducer`.
    """

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> dict[str, LossTerms]:
        return terms


def _at_least_one(counts: Tensor) -> Tensor:
    return counts.sum().clamp(min=1)


def _total(values: Iterable[Tensor]) -> Scalar:
    return reduce(torch.add, values)
