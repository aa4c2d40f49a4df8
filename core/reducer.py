"""Exchangeable reducers: from the losses of many tuples to the one number that is minimised.

An objective hands over its losses as named `Terms`, one row (or entry) per anchor; a reducer
reduces each term and adds the results up. A sum over nothing is 0 and has a gradient of 0.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from core.types import Labels, Mask, Scalar


class Terms(NamedTuple):
    """Losses by anchor, each entry standing for one tuple or for the total of many; equal shapes.

    First dimension: the N anchors. An entry without tuples has loss, count and active 0.
    """

    losses: Tensor  # total loss of the tuples behind the entry
    counts: Tensor  # how many they are, or their weight
    active: Tensor  # how many of them have a loss above zero


def terms_of(losses: Tensor, where: Mask | None = None) -> Terms:
    """One tuple per entry: all of them, or the marked ones."""
    if where is None:
        return Terms(losses, losses.new_ones(losses.shape), losses > 0)
    return Terms(losses.masked_fill(~where, 0), where, where & (losses > 0))


@runtime_checkable
class Reducer(Protocol):
    """Reduces named terms to their sum; `labels` (N,) are those of the anchors."""

    def __call__(self, labels: Labels, /, **terms: Terms) -> Scalar: ...


class Mean:
    """Mean over the tuples of each term, zeros counted."""

    def __call__(self, _labels: Labels, /, **terms: Terms) -> Scalar:
        return _total(t.losses.sum() / _at_least_one(t.counts) for t in terms.values())


class NonZeroMean:
    """Mean over the tuples of each term whose loss is above zero."""

    def __call__(self, _labels: Labels, /, **terms: Terms) -> Scalar:
        return _total(t.losses.sum() / _at_least_one(t.active) for t in terms.values())


class Sum:
    """Sum over all tuples of all terms."""

    def __call__(self, _labels: Labels, /, **terms: Terms) -> Scalar:
        return _total(t.losses.sum() for t in terms.values())


def _at_least_one(counts: Tensor) -> Tensor:
    return counts.sum().clamp(min=1)


def _total(values: Iterable[Tensor]) -> Scalar:
    return torch.stack(list(values)).sum()
