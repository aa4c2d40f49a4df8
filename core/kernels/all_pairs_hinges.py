"""Sums of hinges over all pairs of a threshold and a value, without listing the pairs."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, autograd

from core.batch_checks import can_read_without_sync

CELLS_PER_THRESHOLD = 64


def all_pairs_hinge_sum(thresholds: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Sums hinges: Σ_m [threshold - value_m]₊ of each threshold, and how many of them are positive.

    The thresholds are sorted and each value is looked up among them, which takes O(R M log W) time
    for few thresholds, and O(R (W + M)) memory. It computes in float64, because a sum is a small
    difference of large ones. There is no second derivative.

    Args:
        thresholds: (R, W); -inf marks a missing one, whose sum and count are 0.
        values: (R, M); inf marks a missing one.

    Returns:
        Sums and counts, (R, W) both.
    """
    sums, counts = _AllPairsHingeSum.apply(thresholds, values)
    return sums, counts


class _AllPairsHingeSum(autograd.Function):
    """Values between two neighbouring thresholds share a bucket: the number of thresholds <= value.

    The values below the j-th sorted threshold are those of the buckets 0 to j.
    """

    @staticmethod
    def forward(ctx: Any, thresholds: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        ordered, order = thresholds.sort(dim=1)
        buckets = _buckets(ordered, values)
        one = torch.ones(1, 1, dtype=torch.float64, device=values.device)
        counts = _sum_below_thresholds(one.expand_as(values), buckets, thresholds)
        totals = _sum_below_thresholds(values.double(), buckets, thresholds)
        sums = (ordered * counts - totals).masked_fill(counts == 0, 0)
        sums, counts = (
            torch.empty_like(thresholds).scatter_(1, order, part.to(thresholds.dtype))
            for part in (sums, counts)
        )
        ctx.save_for_backward(order, buckets, counts)
        ctx.mark_non_differentiable(counts)
        return sums, counts

    @staticmethod
    @autograd.function.once_differentiable
    def backward(ctx: Any, gradients: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        order, buckets, counts = ctx.saved_tensors
        ordered = gradients.gather(1, order).double()
        sums_from_above = ordered.flip(1).cumsum(dim=1).flip(1).neg_()
        by_bucket = F.pad(sums_from_above, (0, 1)).to(gradients.dtype)
        return gradients * counts, by_bucket.gather(1, buckets)


def _sum_below_thresholds(weights: Tensor, buckets: Tensor, thresholds: Tensor) -> Tensor:
    """Sums the weights (R, M) of the values that are below each sorted threshold, (R, W)."""
    rows, width = thresholds.shape
    filled = weights.new_zeros(rows, width + 1).scatter_add_(1, buckets, weights)
    return filled[:, :-1].cumsum(dim=1)


def _buckets(ordered: Tensor, values: Tensor) -> Tensor:
    """Counts the thresholds of the same row that are at most each value, (R, M)."""
    if len(ordered) == 1 and can_read_without_sync(values):
        thresholds = ordered[ordered > -math.inf]
        if len(thresholds) > 0 and 0 < thresholds[-1] - thresholds[0] < math.inf:
            missing = ordered.shape[1] - len(thresholds)
            return _count_at_most(thresholds, values[0])[None] + missing
    return torch.searchsorted(ordered, values, right=True)


def _count_at_most(thresholds: Tensor, values: Tensor) -> Tensor:
    """Counts the sorted thresholds (W,) that are at most each value (M,), -> (M,).

    The range is cut into cells of equal width. A cell without a threshold has one count for all of
    its values, which a table holds; the other values are searched.
    """
    cells = CELLS_PER_THRESHOLD * len(thresholds)
    span = thresholds[-1] - thresholds[0]

    def cell(x: Tensor) -> Tensor:
        return x.sub(thresholds[0]).div_(span).mul_(cells - 1).clamp_(0, cells - 1).int()

    in_cell = torch.bincount(cell(thresholds), minlength=cells)
    table = in_cell.cumsum(dim=0).masked_fill_(in_cell > 0, -1)
    counts = table.index_select(0, cell(values))
    unknown = (counts < 0).nonzero().squeeze(1)
    searched = torch.searchsorted(thresholds, values.index_select(0, unknown), right=True)
    return counts.index_copy_(0, unknown, searched)
