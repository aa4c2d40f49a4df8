"""Euclidean distances between all rows of two matrices, by one matrix product."""

from typing import Any

from torch import Tensor, autograd


def euclidean(x: Tensor, y: Tensor | None = None) -> Tensor:
    """|x_i - y_j|, (N, D) and (M, D) -> (N, M), or (N, N) among the rows of x.

    The gradient of a distance of zero is zero instead of infinite.
    """
    distances: Tensor = _Euclidean.apply(x, y)
    return distances


def squared_euclidean(x: Tensor, y: Tensor | None = None) -> Tensor:
    """|x_i - y_j|² = |x_i|² + |y_j|² - 2 x_i·y_j, at least 0, shapes as `euclidean`."""
    squared: Tensor = _SquaredEuclidean.apply(x, y)
    return squared


class _SquaredEuclidean(autograd.Function):
    """In place from end to end, where autograd keeps a matrix of each step: most of the time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x, y)
        return _squared(x, x if y is None else y)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        x, y = ctx.saved_tensors
        return _gradients(x, y, 2 * slopes, ctx.needs_input_grad)


class _Euclidean(autograd.Function):
    """The square root too; its slope at zero is zero instead of infinite, NaN stays NaN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None) -> Tensor:  # noqa: ANN401
        distances = _squared(x, x if y is None else y).sqrt_()
        ctx.save_for_backward(x, y, distances)
        return distances

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        x, y, distances = ctx.saved_tensors
        weights = (slopes / distances).masked_fill_(distances == 0, 0)
        return _gradients(x, y, weights, ctx.needs_input_grad)


def _squared(x: Tensor, y: Tensor) -> Tensor:
    norms = x.square().sum(dim=1)[:, None] + y.square().sum(dim=1)
    return norms.addmm_(x, y.T, alpha=-2).clamp_(min=0)


def _gradients(
    x: Tensor, y: Tensor | None, weights: Tensor, needed: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """By x and by y, where needed: w_ij is how fast the loss rises with half of |x_i - y_j|²."""
    if y is None:
        return _pulled(x, x, weights) + _pulled(x, x, weights.T), None
    return (
        _pulled(x, y, weights) if needed[0] else None,
        _pulled(y, x, weights.T) if needed[1] else None,
    )


def _pulled(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Σ_j w_ij (x_i - y_j): (N, D), (M, D) and weights (N, M) -> (N, D)."""
    return weights.sum(dim=1, keepdim=True) * x - weights @ y
