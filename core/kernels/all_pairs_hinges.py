"""Sums of hinges over all pairs of a key and a value of a row, without listing the pairs."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, autograd

from core.batch_checks import can_read_without_sync

CELLS_PER_KEY = 64


def all_pairs_hinge_sum(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_m [key - value_m]₊ of each key, and how many of these are above zero: (R, W) and (R, W).

    The keys are sorted and each value is looked up among them: O(R M log W) time for few keys, and
    O(R (W + M)) memory. In float64 inside, as a sum is a small difference of large ones. There is
    no second derivative.

    Args:
        keys: (R, W); -inf where there is none, which gives 0 and 0.
        values: (R, M); inf where there is none.
    """
    sums, counts = _Crossed.apply(keys, values)
    return sums, counts


class _Crossed(autograd.Function):
    """Values between the same two keys share a bucket; bucket j is the last below the key j."""

    @staticmethod
    def forward(ctx: Any, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        ordered, order = keys.sort(dim=1)
        buckets = _buckets(ordered, values)
        one = torch.ones(1, 1, dtype=torch.float64, device=values.device)
        counts = _up_to_each_key(one.expand_as(values), buckets, keys)
        totals = _up_to_each_key(values.double(), buckets, keys)
        sums = (ordered * counts - totals).masked_fill(counts == 0, 0)
        sums, counts = (
            torch.empty_like(keys).scatter_(1, order, part.to(keys.dtype))
            for part in (sums, counts)
        )
        ctx.save_for_backward(order, buckets, counts)
        ctx.mark_non_differentiable(counts)
        return sums, counts

    @staticmethod
    @autograd.function.once_differentiable
    def backward(ctx: Any, gradients: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        order, buckets, counts = ctx.saved_tensors
        downwards = gradients.gather(1, order).double().flip(1).cumsum(dim=1).flip(1).neg_()
        of_buckets = F.pad(downwards, (0, 1)).to(gradients.dtype)
        return gradients * counts, of_buckets.gather(1, buckets)


def _up_to_each_key(weights: Tensor, buckets: Tensor, keys: Tensor) -> Tensor:
    """Σ of the weights (R, M) in all buckets below each key, (R, W)."""
    rows, width = keys.shape
    filled = weights.new_zeros(rows, width + 1).scatter_add_(1, buckets, weights)
    return filled[:, :-1].cumsum(dim=1)


def _buckets(ordered: Tensor, values: Tensor) -> Tensor:
    """How many keys of its row are not above each value, (R, M)."""
    if len(ordered) == 1 and can_read_without_sync(values):
        keys = ordered[ordered > -math.inf]
        if len(keys) > 0 and 0 < keys[-1] - keys[0] < math.inf:
            return _looked_up(keys, values[0])[None] + (ordered.shape[1] - len(keys))
    return torch.searchsorted(ordered, values, right=True)


def _looked_up(keys: Tensor, values: Tensor) -> Tensor:
    """How many of the sorted keys are not above each value, (W,), (M,) -> (M,).

    A table of equal cells knows it for all values of a cell without a key; the others are searched.
    """
    cells = CELLS_PER_KEY * len(keys)
    span = keys[-1] - keys[0]

    def cell(x: Tensor) -> Tensor:
        return x.sub(keys[0]).div_(span).mul_(cells - 1).clamp_(0, cells - 1).int()

    held = torch.bincount(cell(keys), minlength=cells)
    table = held.cumsum(dim=0).masked_fill_(held > 0, -1)
    found = table.index_select(0, cell(values))
    unknown = (found < 0).nonzero().squeeze(1)
    searched = torch.searchsorted(keys, values.index_select(0, unknown), right=True)
    return found.index_copy_(0, unknown, searched)
