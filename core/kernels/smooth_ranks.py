"""Smooth ranks: how many references come before each positive of an anchor, with a gradient.

Comparing every positive with every reference takes O(N P M) time for N anchors with at most P
positives among M references. It takes O(N M) memory: the comparisons are made in blocks of a fixed
size, summed, thrown away, and made once more for the gradient.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, library

from core.kernels.pack_positives import pack_indices, pack_positives
from core.types import Mask, Pairs, Similarities

BLOCK = 2**22  # comparisons at once, unless one positive per anchor is already more


class Step(NamedTuple):
    """A smooth H(x), which counts how much "x > 0" holds; x is a difference of similarities.

    σ(x / temperature) up to 0, the same + lift from there to `reach`, and beyond it, where σ alone
    would be flat, slope (x - reach) + height. Temperature 0 is the true step, 1 from x = 0 on. A
    lift has an end.
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


def counts_before(
    similarities: Similarities, pairs: Pairs, step: Step, among_positives: Step | None = None
) -> Before:
    """Σ_k H(s_ik - s_ij) over the positives k ≠ j, and over the negatives k, of anchor i.

    `among_positives` is the H of positives, by default that of negatives, `step`. On an accelerator
    the host waits here, to learn P. There is no second derivative.
    """
    steps = [*(among_positives or step), *step]
    positives, negatives, _ = _counts_before(similarities, *pairs, steps)
    return Before(positives, negatives)


def with_query(pairs: Pairs) -> Pairs:
    """Every anchor that has positives among them; for pairs of a batch, where it is reference i."""
    itself = torch.eye(len(pairs.positives), dtype=torch.bool, device=pairs.positives.device)
    listed = pairs.positives.any(dim=1, keepdim=True)
    return Pairs(pairs.positives | (itself & listed), pairs.negatives)


def mean_over_positives(values: Tensor, positives: Mask) -> Tensor:
    """Mean of the values of the positives of each anchor, (N, M) -> (N,); 0 without positives."""
    own, valid = pack_positives(values, positives)
    return own.where(valid, 0).sum(dim=1) / valid.sum(dim=1).clamp(min=1)


@library.custom_op("dml::counts_before", mutates_args=())
def _counts_before(
    similarities: Tensor, positives: Tensor, negatives: Tensor, steps: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor]:
    """The two counts (N, M), and P, on the CPU. The loops depend on P: no compiler looks inside."""
    among_positives, among_negatives = _two(steps)
    slots = _slots(positives)
    own = _at(similarities, slots)
    of_positives, of_negatives = _rivals(similarities, negatives, slots, own)
    itself = _height(own.new_zeros(1), among_positives)
    return (
        _spread(_count(own, of_positives, among_positives) - itself, slots, similarities),
        _spread(_count(own, of_negatives, among_negatives), slots, similarities),
        torch.tensor(slots.shape[1]),
    )


@library.custom_op("dml::counts_before_gradient", mutates_args=())
def _gradient(
    by_positives: Tensor,
    by_negatives: Tensor,
    similarities: Tensor,
    positives: Tensor,
    negatives: Tensor,
    most: Tensor,
    steps: Sequence[float],
) -> Tensor:
    """From the gradient by the two counts to that by the similarities: all three are (N, M)."""
    among_positives, among_negatives = _two(steps)
    slots = _slots(positives, most)
    own = _at(similarities, slots)
    of_positives, of_negatives = _rivals(similarities, negatives, slots, own)
    empty = slots == similarities.shape[1]
    by = _at(by_positives, slots).masked_fill(empty, 0)
    down, up_positives = _count_gradient(own, of_positives, among_positives, by)
    by = _at(by_negatives, slots).masked_fill(empty, 0)
    further_down, up_negatives = _count_gradient(own, of_negatives, among_negatives, by)
    return up_negatives + _spread(up_positives - down - further_down, slots, similarities)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ANN401
    *tensors, ctx.steps = inputs
    ctx.save_for_backward(*tensors, output[-1])


def _backward(ctx: Any, by_positives: Tensor, by_negatives: Tensor, _: None) -> tuple[Any, ...]:  # noqa: ANN401
    gradient = _gradient(by_positives, by_negatives, *ctx.saved_tensors, ctx.steps)
    return gradient, None, None, None


@_counts_before.register_fake
def _(similarities: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor]:
    counts = torch.empty_like(similarities), torch.empty_like(similarities)
    return *counts, torch.empty((), dtype=torch.long)


@_gradient.register_fake
def _(by_positives: Tensor, *_: object) -> Tensor:
    return torch.empty_like(by_positives)


_counts_before.register_autograd(_backward, setup_context=_save)


def _two(steps: Sequence[float]) -> tuple[Step, Step]:
    """An operator takes numbers, no steps."""
    half = len(steps) // 2
    return Step(*steps[:half]), Step(*steps[half:])


def _slots(positives: Tensor, most: Tensor | None = None) -> Tensor:
    """The positives of each anchor, (N, P); filled up with M, the number of references.

    An accelerator need not be waited for where P, the most of an anchor, is known to the host.
    """
    if most is None or positives.device.type == "cpu":
        columns, valid = pack_indices(positives)
    else:
        marks, columns = positives.byte().topk(int(most), dim=1)
        valid = marks.bool()
    return columns.masked_fill(~valid, positives.shape[1])


def _at(matrix: Tensor, slots: Tensor) -> Tensor:
    """Entries of each row at the slots; those of empty slots mean nothing."""
    return matrix.gather(1, slots.clamp(max=matrix.shape[1] - 1))


def _spread(values: Tensor, slots: Tensor, like: Tensor) -> Tensor:
    """The opposite: values (N, P) of the slots in their columns (N, M), 0 elsewhere."""
    columns = values.new_zeros(len(values), like.shape[1] + 1).scatter_(1, slots, values)
    return columns[:, :-1].contiguous()


def _rivals(
    similarities: Tensor, negatives: Tensor, slots: Tensor, own: Tensor
) -> tuple[Tensor, Tensor]:
    """Similarities of the positives in their slots (N, P), and of the negatives (N, M), or -inf."""
    empty = slots == similarities.shape[1]
    return own.masked_fill(empty, -math.inf), similarities.masked_fill(~negatives, -math.inf)


def _count(own: Tensor, rivals: Tensor, step: Step) -> Tensor:
    """Σ_k H(rivals_ik - own_ij), (N, P)."""
    counts = torch.empty_like(own)
    for block in _blocks(own, rivals):
        gaps = rivals[:, None, :] - own[:, block, None]
        counts[:, block] = _height(gaps, step).sum(dim=2)
    return counts


def _count_gradient(own: Tensor, rivals: Tensor, step: Step, by: Tensor) -> tuple[Tensor, Tensor]:
    """From the gradient by the count: how fast it falls by own (N, P), and rises by rivals."""
    falls, rises = torch.empty_like(own), torch.zeros_like(rivals)
    for block in _blocks(own, rivals):
        gaps = rivals[:, None, :] - own[:, block, None]
        gradients = _slope(gaps, step).mul_(by[:, block, None])
        falls[:, block] = gradients.sum(dim=2)
        rises += gradients.sum(dim=1)
    return falls, rises


def _blocks(own: Tensor, rivals: Tensor) -> Iterator[slice]:
    width = max(1, BLOCK // max(1, rivals.numel()))
    return (slice(start, start + width) for start in range(0, own.shape[1], width))


def _height(x: Tensor, step: Step) -> Tensor:
    """H(x); x is overwritten."""
    if step.temperature == 0:
        return (x >= 0).to(x.dtype)
    if step.reach == math.inf:
        return x.div_(step.temperature).sigmoid_()
    above = x.sign().clamp_(min=0)  # as numbers: x > 0 would be converted, which takes longer
    curve = (x / step.temperature).sigmoid_().add_(above, alpha=step.lift)
    beyond = x > step.reach
    return torch.where(beyond, x.sub_(step.reach).mul_(step.slope).add_(step.height), curve)


def _slope(x: Tensor, step: Step) -> Tensor:
    """H'(x), its jump left out; x is overwritten."""
    if step.temperature == 0:
        return torch.zeros_like(x)
    beyond = x > step.reach
    curve = x.div_(step.temperature).sigmoid_()
    gradients = curve.addcmul_(curve, curve, value=-1).div_(step.temperature)
    return gradients if step.reach == math.inf else gradients.masked_fill_(beyond, step.slope)
