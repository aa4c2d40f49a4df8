"""Inverse of a symmetric positive definite matrix, at half the cost of a general inverse."""

from typing import Any

import torch
from torch import Tensor, autograd


def inverse_of_positive_definite(matrix: Tensor) -> Tensor:
    """Inverse of a symmetric positive definite matrix A, (n, n); wrong for other matrices.

    On the CPU it is computed from the Cholesky factor. On an accelerator it is a general inverse,
    because a Cholesky factor would make the host wait for the device.
    """
    inverse: Tensor = _Inverse.apply(matrix)
    return inverse


class _Inverse(autograd.Function):
    """The gradient with respect to A is -A^-1 G A^-1, however the inverse is computed."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:  # noqa: ANN401
        if matrix.device.type == "cpu":
            inverse = torch.cholesky_inverse(torch.linalg.cholesky_ex(matrix).L)
        else:
            inverse = torch.linalg.inv_ex(matrix).inverse
        ctx.save_for_backward(inverse)
        return inverse

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> Tensor:  # noqa: ANN401
        inverse: Tensor = ctx.saved_tensors[0]
        return -(inverse @ gradients @ inverse)
