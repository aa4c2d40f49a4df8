"""Euclidean distances between all rows of two matrices, by one matrix product.

Of rows about their common mean, because the product of long rows hides how far apart they are:
in float32 an offset that all rows have in common, up to 1000 times their spread, costs nothing
that their own rounding has not cost already. What the product cannot tell is a distance below some
1e-3 of the spread: its square is right to a few rounding errors of the squared spread, no more.
Equal rows are told apart from close ones by their bits; their distance is exactly 0.
"""

from typing import Any

import torch
from torch import Tensor, autograd

from core.kernels.equal_rows import rows_differ


def euclidean(x: Tensor, y: Tensor | None = None) -> Tensor:
    """|x_i - y_j|, (N, D) and (M, D) -> (N, M), or (N, N) among the rows of x.

    Exactly 0 for equal rows, and the gradient of a distance of zero is zero instead of infinite.
    """
    distances: Tensor = _Euclidean.apply(x, y)
    return distances


def squared_euclidean(x: Tensor, y: Tensor | None = None) -> Tensor:
    """|x_i - y_j|² = |x_i|² + |y_j|² - 2 x_i·y_j, at least 0, shapes as `euclidean`.

    Exactly 0 for equal rows.
    """
    squared: Tensor = _SquaredEuclidean.apply(x, y)
    return squared


class _SquaredEuclidean(autograd.Function):
    """In place from end to end, where autograd keeps a matrix of each step: most of the time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None) -> Tensor:  # noqa: ANN401
        shift = _to_zero_mean(x)
        ctx.save_for_backward(x, y, shift)
        return _squared(*_shifted(x, y, shift))

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        x, y, shift = ctx.saved_tensors
        x, y = _shifted(x, y, shift)
        return _gradients(2 * x, None if y is None else 2 * y, gradients, ctx.needs_input_grad)


class _Euclidean(autograd.Function):
    """The square root too; its slope at zero is zero instead of infinite, NaN stays NaN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None) -> Tensor:  # noqa: ANN401
        shift = _to_zero_mean(x)
        distances = _squared(*_shifted(x, y, shift)).sqrt_()
        ctx.save_for_backward(x, y, shift, distances)
        return distances

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        x, y, shift, distances = ctx.saved_tensors
        smallest = torch.finfo(distances.dtype).tiny
        # 1/d, but 0 where d is 0; a boolean mask would take as long as a product of matrices
        inverse = distances / distances.square().clamp_(min=smallest)
        return _gradients(*_shifted(x, y, shift), gradients * inverse, ctx.needs_input_grad)


def _to_zero_mean(x: Tensor) -> Tensor:
    """What added to each row of x makes their mean zero, (D,).

    Never -0: 0 added to -0 makes 0, so that rows that are equal have equal bits then.
    """
    return x.mean(dim=0).neg_().add_(0.0)


def _shifted(x: Tensor, y: Tensor | None, shift: Tensor) -> tuple[Tensor, Tensor | None]:
    """No distance changes, so that the shift itself has no gradient."""
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
    """By x and by y, where needed: w_ij is how fast the loss rises with half of |x_i - y_j|²."""
    if y is None:
        # a copy of the transpose first: adding along columns takes ten times as long
        return _pulled(x, x, weights + weights.T.contiguous()), None
    return (
        _pulled(x, y, weights) if needed[0] else None,
        _pulled(y, x, weights.T) if needed[1] else None,
    )


def _pulled(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Σ_j w_ij (x_i - y_j): (N, D), (M, D) and weights (N, M) -> (N, D)."""
    return torch.addmm(weights.sum(dim=1)[:, None] * x, weights, y, alpha=-1)
