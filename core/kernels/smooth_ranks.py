"""Smooth ranks: differentiable counts of the references that precede each positive of an anchor.

Comparing every positive with every reference takes O(N P M) time for N anchors with at most P
positives among M references. It takes O(N M) memory: the comparisons are computed and summed in
blocks of a fixed size, and computed again for the gradient.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, library

from core.kernels.pack_positives import pack_indices, pack_positives
from core.types import Mask, Pairs, Similarities

BLOCK = 2**22  # comparisons at once, or one positive per anchor if that is more


class SmoothStep(NamedTuple):
    """Smooth step function H(x), which replaces "x > 0"; x is a difference of similarities.

    H(x) is σ(x / temperature) for x <= 0, σ(x / temperature) + lift for 0 < x <= reach, and
    slope (x - reach) + height beyond, where σ alone would be flat. Temperature 0 is the step
    function itself, 1 for x >= 0. A lift needs a finite reach.
    """

    temperature: float
    lift: float = 0.0
    reach: float = math.inf
    slope: float = 0.0
    height: float = 0.0


class CountsBefore(NamedTuple):
    """Numbers of positives and of negatives that precede each positive j of anchor i, at (i, j).

    They are 0 where j is no positive of i. A positive does not precede itself.
    """

    positives: Tensor  # (N, M)
    negatives: Tensor  # (N, M)


def counts_before(
    similarities: Similarities,
    pairs: Pairs,
    step: SmoothStep,
    among_positives: SmoothStep | None = None,
) -> CountsBefore:
    """Counts Σ_k H(s_ik - s_ij) over the positives k ≠ j and over the negatives k of anchor i.

    `step` is H; `among_positives` replaces it for the positives. On an accelerator the host waits
    for P. There is no second derivative.
    """
    steps = [*(among_positives or step), *step]
    positives, negatives, _ = _counts_before(similarities, *pairs, steps)
    return CountsBefore(positives, negatives)


def with_query(pairs: Pairs) -> Pairs:
    """Adds to the positives of each anchor that has any the anchor itself, which is reference i."""
    diagonal = torch.eye(len(pairs.positives), dtype=torch.bool, device=pairs.positives.device)
    has_positives = pairs.positives.any(dim=1, keepdim=True)
    return Pairs(pairs.positives | (diagonal & has_positives), pairs.negatives)


def mean_over_positives(values: Tensor, positives: Mask) -> Tensor:
    """Mean of the values of the positives of each anchor, (N, M) -> (N,); 0 without positives."""
    packed, valid = pack_positives(values, positives)
    return packed.where(valid, 0).sum(dim=1) / valid.sum(dim=1).clamp(min=1)


@library.custom_op("dml::counts_before", mutates_args=())
def _counts_before(
    similarities: Tensor, positives: Tensor, negatives: Tensor, steps: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor]:
    """The two counts (N, M), and P, on the CPU.

    It is a custom operator, which is not compiled, because the number of blocks depends on P.
    """
    among_positives, among_negatives = _unflatten(steps)
    columns = _positive_columns(positives)
    own = _gather(similarities, columns)
    of_positives, of_negatives = _candidates(similarities, negatives, columns, own)
    at_zero = _evaluate(own.new_zeros(1), among_positives)
    return (
        _scatter(_count(own, of_positives, among_positives) - at_zero, columns, similarities),
        _scatter(_count(own, of_negatives, among_negatives), columns, similarities),
        torch.tensor(columns.shape[1]),
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
    """Gradient with respect to the similarities from that to the two counts: (N, M) all three."""
    among_positives, among_negatives = _unflatten(steps)
    columns = _positive_columns(positives, most)
    own = _gather(similarities, columns)
    of_positives, of_negatives = _candidates(similarities, negatives, columns, own)
    empty = columns == similarities.shape[1]
    by = _gather(by_positives, columns).masked_fill(empty, 0)
    own_p, candidates_p = _count_gradient(own, of_positives, among_positives, by)
    by = _gather(by_negatives, columns).masked_fill(empty, 0)
    own_n, candidates_n = _count_gradient(own, of_negatives, among_negatives, by)
    return candidates_n + _scatter(candidates_p - own_p - own_n, columns, similarities)


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


def _unflatten(steps: Sequence[float]) -> tuple[SmoothStep, SmoothStep]:
    """The two steps from their numbers, because a custom operator takes numbers only."""
    half = len(steps) // 2
    return SmoothStep(*steps[:half]), SmoothStep(*steps[half:])


def _positive_columns(positives: Tensor, most: Tensor | None = None) -> Tensor:
    """Columns of the positives of each anchor, (N, P), padded with M, the number of references.

    Args:
        most: P, if the host knows it already; it then waits for no accelerator.
    """
    if most is None or positives.device.type == "cpu":
        columns, valid = pack_indices(positives)
    else:
        marks, columns = positives.byte().topk(int(most), dim=1)
        valid = marks.bool()
    return columns.masked_fill(~valid, positives.shape[1])


def _gather(matrix: Tensor, columns: Tensor) -> Tensor:
    """Entries of each row at the columns; those of padding are arbitrary."""
    return matrix.gather(1, columns.clamp(max=matrix.shape[1] - 1))


def _scatter(values: Tensor, columns: Tensor, like: Tensor) -> Tensor:
    """Values (N, P) back at their columns (N, M), 0 elsewhere."""
    padded = values.new_zeros(len(values), like.shape[1] + 1).scatter_(1, columns, values)
    return padded[:, :-1].contiguous()


def _candidates(
    similarities: Tensor, negatives: Tensor, columns: Tensor, own: Tensor
) -> tuple[Tensor, Tensor]:
    """Similarities of the positives (N, P) and of the negatives (N, M), -inf for all others."""
    empty = columns == similarities.shape[1]
    return own.masked_fill(empty, -math.inf), similarities.masked_fill(~negatives, -math.inf)


def _count(own: Tensor, candidates: Tensor, step: SmoothStep) -> Tensor:
    """Counts Σ_k H(candidates_ik - own_ij), (N, P)."""
    counts = torch.empty_like(own)
    for block in _blocks(own, candidates):
        differences = candidates[:, None, :] - own[:, block, None]
        counts[:, block] = _evaluate(differences, step).sum(dim=2)
    return counts


def _count_gradient(
    own: Tensor, candidates: Tensor, step: SmoothStep, by: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to -own (N, P) and candidates, from `by`, that to the count."""
    by_own, by_candidates = torch.empty_like(own), torch.zeros_like(candidates)
    for block in _blocks(own, candidates):
        differences = candidates[:, None, :] - own[:, block, None]
        gradients = _derivative(differences, step).mul_(by[:, block, None])
        by_own[:, block] = gradients.sum(dim=2)
        by_candidates += gradients.sum(dim=1)
    return by_own, by_candidates


def _blocks(own: Tensor, candidates: Tensor) -> Iterator[slice]:
    width = max(1, BLOCK // max(1, candidates.numel()))
    return (slice(start, start + width) for start in range(0, own.shape[1], width))


def _evaluate(x: Tensor, step: SmoothStep) -> Tensor:
    """H(x); x is overwritten."""
    if step.temperature == 0:
        return (x >= 0).to(x.dtype)
    if step.reach == math.inf:
        return x.div_(step.temperature).sigmoid_()
    above = x.sign().clamp_(min=0)  # x > 0 as a number; converting a mask takes longer
    curve = (x / step.temperature).sigmoid_().add_(above, alpha=step.lift)
    beyond = x > step.reach
    return torch.where(beyond, x.sub_(step.reach).mul_(step.slope).add_(step.height), curve)


def _derivative(x: Tensor, step: SmoothStep) -> Tensor:
    """H'(x) without its jump at 0; x is overwritten."""
    if step.temperature == 0:
        return torch.zeros_like(x)
    beyond = x > step.reach
    curve = x.div_(step.temperature).sigmoid_()
    gradients = curve.addcmul_(curve, curve, value=-1).div_(step.temperature)
    return gradients if step.reach == math.inf else gradients.masked_fill_(beyond, step.slope)
