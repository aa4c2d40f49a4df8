"""Euclidean distances between all rows of two matrices, by one matrix product.

The mean of x is subtracted from all rows first, because the product of long rows loses the digits
of their difference: in float32 a common offset of up to 1000 times the spread of the rows adds no
error beyond the rounding of the rows themselves. The squared distance is accurate to a few rounding
errors of the squared spread, so that distances below about 1e-3 of the spread are inaccurate. Equal
rows are recognised by their bits and have a distance of exactly 0.
"""

from typing import Any

import torch
from torch import Tensor, autograd

from core.kernels.equal_rows import rows_differ


def euclidean(x: Tensor, y: Tensor | None = None) -> Tensor:
    """Euclidean distances |x_i - y_j|, (N, D) and (M, D) -> (N, M), or (N, N) without y.

    They are exactly 0 for equal rows; the gradient of a distance of zero is zero, not infinite.
    """
    distances: Tensor = _Euclidean.apply(x, y)
    return distances


def squared_euclidean(x: Tensor, y: Tensor | None = None) -> Tensor:
    """Squared Euclidean distances |x_i|² + |y_j|² - 2 x_i·y_j, at least 0; shapes as `euclidean`.

    They are exactly 0 for equal rows.
    """
    squared: Tensor = _SquaredEuclidean.apply(x, y)
    return squared


class _SquaredEuclidean(autograd.Function):
    """Computes in place; autograd would save a matrix of each operation, most of the time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None) -> Tensor:  # noqa: ANN401
        shift = _negative_mean(x)
        ctx.save_for_backward(x, y, shift)
        return _squared(*_shifted(x, y, shift))

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        x, y, shift = ctx.saved_tensors
        x, y = _shifted(x, y, shift)
        return _gradients(2 * x, None if y is None else 2 * y, gradients, ctx.needs_input_grad)


class _Euclidean(autograd.Function):
    """Square root of these; its gradient at zero is zero instead of infinite, NaN stays NaN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None) -> Tensor:  # noqa: ANN401
        shift = _negative_mean(x)
        distances = _squared(*_shifted(x, y, shift)).sqrt_()
        ctx.save_for_backward(x, y, shift, distances)
        return distances

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        x, y, shift, distances = ctx.saved_tensors
        smallest = torch.finfo(distances.dtype).tiny
        # 1/d, and 0 where d is 0; a boolean mask would take as long as a matrix product
        inverse = distances / distances.square().clamp_(min=smallest)
        return _gradients(*_shifted(x, y, shift), gradients * inverse, ctx.needs_input_grad)


def _negative_mean(x: Tensor) -> Tensor:
    """Minus the mean of the rows, (D,), never -0: adding 0 turns -0 into 0.

    So rows that are equal as numbers have equal bits once it is added to them.
    """
    return x.mean(dim=0).neg_().add_(0.0)


def _shifted(x: Tensor, y: Tensor | None, shift: Tensor) -> tuple[Tensor, Tensor | None]:
    """Adds the shift to all rows; no distance changes, so that the shift has no gradient."""
    return x + shift, None if y is None else y + shift


def _squared(x: Tensor, y: Tensor | None) -> Tensor:
    norms = x.square().sum(dim=1)
    others = norms if y is None else y.square().sum(dim=1)
    squared = norms[:, None] + others
    squared.addmm_(x, (x if y is None else y).T, alpha=-2).clamp_(min=0)
    return squared.mul_(rows_differ(x, y))


def _gradients(
    x: Tensor, y: Tensor | None, weights: Tensor, needed: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients with respect to x and y, where needed; w_ij is that of |x_i - y_j|² / 2."""
    if y is None:
        # the transpose is copied first: adding along columns takes ten times as long
        return _weighted_differences(x, x, weights + weights.T.contiguous()), None
    return (
        _weighted_differences(x, y, weights) if needed[0] else None,
        _weighted_differences(y, x, weights.T) if needed[1] else None,
    )


def _weighted_differences(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Sums Σ_j w_ij (x_i - y_j): (N, D), (M, D) and weights (N, M) -> (N, D)."""
    return torch.addmm(weights.sum(dim=1)[:, None] * x, weights, y, alpha=-1)
