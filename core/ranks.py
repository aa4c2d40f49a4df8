"""Smooth ranks: how many references come before each positive of an anchor, with a gradient.

Comparing every positive with every reference takes O(N P M) time for N anchors with at most P
positives among M references. It takes O(N M) memory: the comparisons are made in blocks of a fixed
size, summed, thrown away, and made once more for the gradient.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from core.types import Mask, Pairs, Similarities

BLOCK = 2**22  # comparisons at once, unless one positive per anchor is already more


class Step(NamedTuple):
    """A smooth H(x), which counts how much "x > 0" holds; x is a difference of similarities.

    σ(x / temperature) up to 0, the same + lift from there to `reach`, and beyond it, where σ alone
    would be flat, slope (x - reach) + height.
    """

    temperature: float
    lift: float = 0.0
    reach: float = math.inf
    slope: float = 0.0
    height: float = 0.0


class Before(NamedTuple):
    """How many positives and how many negatives come before each positive j of anchor i, at (i, j).

    0 where j is no positive of i. A positive does not come before itself.
    """

    positives: Tensor  # (N, M)
    negatives: Tensor  # (N, M)


def counts_before(similarities: Similarities, pairs: Pairs, step: Step) -> Before:
    """Σ_k H(s_ik - s_ij) over the positives k ≠ j, and over the negatives k, of anchor i.

    On an accelerator the host waits here once, to learn P. There is no second derivative.
    """
    positives, negatives, _ = _counts_before(similarities, *pairs, step)
    return Before(positives, negatives)


def with_query(pairs: Pairs) -> Pairs:
    """Every anchor that has positives among them; for pairs of a batch, where it is reference i."""
    itself = torch.eye(len(pairs.positives), dtype=torch.bool, device=pairs.positives.device)
    listed = pairs.positives.any(dim=1, keepdim=True)
    return Pairs(pairs.positives | (itself & listed), pairs.negatives)


def mean_over_positives(values: Tensor, positives: Mask) -> Tensor:
    """Mean of the values of the positives of each anchor, (N, M) -> (N,); 0 without positives."""
    return values.where(positives, 0).sum(dim=1) / positives.sum(dim=1).clamp(min=1)


@torch.library.custom_op("dml::counts_before", mutates_args=())
def _counts_before(
    similarities: Tensor, positives: Tensor, negatives: Tensor, step: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor]:
    """The two counts (N, M), and P, on the CPU. The loop depends on P: no compiler looks inside."""
    most = positives.sum(dim=1).max().cpu()
    slots = _slots(positives, int(most))
    rivals = _rivals(similarities, slots, negatives)
    counts = [similarities.new_empty(len(slots), 2, 0)]
    for block in _blocks(slots, rivals):
        heights = _height(rivals[:, None] - _at(similarities, block)[:, :, None], Step(*step))
        kinds = heights[:, :, : int(most)], heights[:, :, int(most) :]
        counts.append(torch.stack([kind.sum(dim=2) for kind in kinds], dim=1))
    before_positives, before_negatives = torch.cat(counts, dim=2).unbind(dim=1)
    without_itself = before_positives - 0.5  # which counted as H(0)
    width = similarities.shape[1]
    return _spread(without_itself, slots, width), _spread(before_negatives, slots, width), most


@torch.library.custom_op("dml::counts_before_gradient", mutates_args=())
def _gradient(
    by_positives: Tensor,
    by_negatives: Tensor,
    similarities: Tensor,
    positives: Tensor,
    negatives: Tensor,
    most: Tensor,
    step: Sequence[float],
) -> Tensor:
    """From the gradient by the two counts to that by the similarities: all three are (N, M)."""
    slots = _slots(positives, int(most))
    rivals = _rivals(similarities, slots, negatives)
    of_rivals, of_own = torch.zeros_like(rivals), [similarities.new_empty(len(slots), 0)]
    for block in _blocks(slots, rivals):
        slopes = _slope(rivals[:, None] - _at(similarities, block)[:, :, None], Step(*step))
        slopes[:, :, : int(most)] *= _at(by_positives, block)[:, :, None]
        slopes[:, :, int(most) :] *= _at(by_negatives, block)[:, :, None]
        slopes.masked_fill_((block == similarities.shape[1])[:, :, None], 0)
        of_rivals += slopes.sum(dim=1)
        of_own.append(-slopes.sum(dim=2))
    of_positives = of_rivals[:, : int(most)] + torch.cat(of_own, dim=1)
    return of_rivals[:, int(most) :] + _spread(of_positives, slots, similarities.shape[1])


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ANN401
    *tensors, ctx.step = inputs
    ctx.save_for_backward(*tensors, output[-1])


def _backward(ctx: Any, by_positives: Tensor, by_negatives: Tensor, _: None) -> tuple[Any, ...]:  # noqa: ANN401
    gradient = _gradient(by_positives, by_negatives, *ctx.saved_tensors, ctx.step)
    return gradient, None, None, None


@_counts_before.register_fake
def _(similarities: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor]:
    counts = torch.empty_like(similarities), torch.empty_like(similarities)
    return *counts, torch.empty((), dtype=torch.long)


@_gradient.register_fake
def _(by_positives: Tensor, *_: object) -> Tensor:
    return torch.empty_like(by_positives)


_counts_before.register_autograd(_backward, setup_context=_save)


def _slots(positives: Tensor, most: int) -> Tensor:
    """The positives of each anchor in order, (N, P); filled up with M, the number of references."""
    columns = torch.arange(positives.shape[1], device=positives.device).expand_as(positives)
    order = torch.where(positives, positives.cumsum(dim=1) - 1, most)  # the others go to the end
    empty = torch.full((len(positives), most + 1), positives.shape[1], device=positives.device)
    return empty.scatter_(1, order, columns)[:, :most]


def _rivals(similarities: Tensor, slots: Tensor, negatives: Tensor) -> Tensor:
    """Similarities of the positives in their slots, then of the negatives; -inf elsewhere."""
    among_positives = _at(similarities, slots).masked_fill(
        slots == similarities.shape[1], -math.inf
    )
    return torch.cat([among_positives, similarities.masked_fill(~negatives, -math.inf)], dim=1)


def _blocks(slots: Tensor, rivals: Tensor) -> Sequence[Tensor]:
    width = max(1, BLOCK // rivals.numel())
    return [slots[:, start : start + width] for start in range(0, slots.shape[1], width)]


def _at(matrix: Tensor, slots: Tensor) -> Tensor:
    """Entries of each row at the slots; those of empty slots mean nothing."""
    return matrix.gather(1, slots.clamp(max=matrix.shape[1] - 1))


def _spread(values: Tensor, slots: Tensor, width: int) -> Tensor:
    """The opposite: values (N, P) of the slots in their columns (N, M), 0 elsewhere."""
    columns = values.new_zeros(len(values), width + 1).scatter_(1, slots, values)
    return columns[:, :width].contiguous()


def _height(x: Tensor, step: Step) -> Tensor:
    """H(x); overwrites x if H is a plain sigmoid."""
    if step.reach == math.inf and step.lift == 0:
        return x.div_(step.temperature).sigmoid_()
    curve = (x / step.temperature).sigmoid() + step.lift * (x > 0)
    return torch.where(x > step.reach, step.slope * (x - step.reach) + step.height, curve)


def _slope(x: Tensor, step: Step) -> Tensor:
    """H'(x), the jump at 0 left out; overwrites x if H is a plain sigmoid."""
    if step.reach == math.inf:
        curve = x.div_(step.temperature).sigmoid_()
        return curve.addcmul_(curve, curve, value=-1).div_(step.temperature)
    curve = (x / step.temperature).sigmoid()
    return torch.where(x > step.reach, step.slope, curve * (1 - curve) / step.temperature)
