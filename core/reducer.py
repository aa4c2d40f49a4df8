"""Reducers: turn the losses of many tuples into one number.

A loss gives its reducer named `LossTerms`, with one row or entry per anchor; the reducer reduces
each term and adds up the results. A sum over nothing is 0 with a gradient of 0.
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
    """Losses by anchor, each entry standing for one tuple or for the total of many; equal shapes.

    First dimension: the N anchors. An entry without tuples has loss, count and active 0.
    """

    losses: Tensor  # total loss of the tuples behind the entry
    counts: Tensor  # how many they are, or their weight
    active: Tensor  # how many of them have a loss above zero
    above: Tensor | None = None  # total of these; None where an entry has no losses of both signs


def loss_terms(losses: Tensor, where: Mask | None = None) -> LossTerms:
    """One tuple per entry: all of them, or the marked ones."""
    if where is None:
        return LossTerms(losses, losses.new_ones(losses.shape), losses > 0)
    return LossTerms(losses.masked_fill(~where, 0), where, where & (losses > 0))


def weighted(losses: Tensor, weights: Tensor) -> LossTerms:
    """One tuple per entry, which counts as often as its weight >= 0 says."""
    return LossTerms(weights * losses, weights, weights * (losses > 0))


@runtime_checkable
class Reducer(Protocol):
    """Reduces named terms to their sum; `labels` (N,) are those of the anchors."""

    def __call__(self, labels: Labels, /, **terms: LossTerms) -> Scalar: ...


class Mean:
    """Mean over the tuples of each term, zeros counted.

    In pytorch-metric-learning: `MeanReducer`.
    """

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> Scalar:
        return _total(t.losses.sum() / _at_least_one(t.counts) for t in terms.values())


class NonZeroMean:
    """Mean over the tuples of each term whose loss is above zero.

    In pytorch-metric-learning: `AvgNonZeroReducer`.
    """

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> Scalar:
        return _total(self._mean(t) for t in terms.values())

    def _mean(self, term: LossTerms) -> Tensor:
        above = term.losses.relu() if term.above is None else term.above
        return above.sum() / _at_least_one(term.active)


class Pooled:
    """Mean over the tuples of all terms together, zeros counted: a term weighs what it counts."""

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> Scalar:
        counts = _total(t.counts.sum() for t in terms.values())
        return _total(t.losses.sum() for t in terms.values()) / counts.clamp(min=1)


class Sum:
    """Sum over all tuples of all terms.

    In pytorch-metric-learning: `SumReducer`.
    """

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> Scalar:
        return _total(t.losses.sum() for t in terms.values())


class Divisor:
    """Sum over the tuples of each term, divided by a fixed number.

    In pytorch-metric-learning: `DivisorReducer`.

    Args:
        divisor: > 0, for instance the batch size: a batch with few tuples then weighs less.
    """

    def __init__(self, divisor: PositiveFloat) -> None:
        if divisor <= 0:
            raise ValueError(f"divisor must be above 0, got {divisor}")
        self.divisor = divisor

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> Scalar:
        return _total(t.losses.sum() / self.divisor for t in terms.values())


class Threshold:
    """Mean over the tuples of each term whose loss lies between two bounds, both excluded.

    For an entry of several tuples, their mean is compared. In pytorch-metric-learning:
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
        outside = (each <= self.low) | (each >= self.high)  # NaN is not: it has to show
        between = (term.counts > 0) & ~outside
        return term.losses.where(between, 0).sum() / _at_least_one(term.counts.where(between, 0))


class ClassWeighted:
    """Mean over the tuples of each term, each loss times the weight of its anchor's class.

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
    """First the mean over the tuples of each anchor, then a reducer over the anchors that have any.

    In pytorch-metric-learning: `PerAnchorReducer`.

    Args:
        reducer: None is the mean.
        total: whether the sum over the tuples of an anchor takes the place of their mean.
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
    """A separate reducer for each named term.

    In pytorch-metric-learning: `MultipleReducers`.

    Args:
        reducers: by the names of the terms, such as `positives` and `negatives`.
        default: of the terms not named; None is the mean.
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
    """Returns the terms by name, unreduced, for inspection.

    In pytorch-metric-learning: `DoNothingReducer`.
    """

    def __call__(self, _labels: Labels, /, **terms: LossTerms) -> dict[str, LossTerms]:
        return terms


def _at_least_one(counts: Tensor) -> Tensor:
    return counts.sum().clamp(min=1)


def _total(values: Iterable[Tensor]) -> Scalar:
    return reduce(torch.add, values)
