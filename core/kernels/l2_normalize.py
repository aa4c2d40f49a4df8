"""L2 normalization: scales rows to length one."""

from typing import Any

import torch
from torch import Tensor, autograd


def l2_normalize(x: Tensor) -> Tensor:
    """Scales each row to length one, x_i / |x_i|, (N, D) -> (N, D); a row of zeros stays zero.

    Rows may have any length: each is divided by its largest entry first, so that no square
    overflows or underflows. The gradient of a row of zeros is zero. A row with NaN or infinity
    becomes NaN.
    """
    vectors: Tensor = _Unit.apply(x)[0]
    return vectors


class _Unit(autograd.Function):
    """Unit vectors and lengths; a length of zero counts as infinite, so that its gradient is 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        largest = x.abs().amax(dim=1, keepdim=True)
        largest.masked_fill_(largest == 0, torch.inf)
        vectors = x / largest
        lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_(min=1)
        vectors.div_(lengths)
        lengths.mul_(largest)
        ctx.save_for_backward(vectors, lengths)
        ctx.set_materialize_grads(False)
        return vectors, lengths

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401
        gradients: Tensor | None,
        gradients_of_lengths: Tensor | None,
    ) -> Tensor | None:
        vectors, lengths = ctx.saved_tensors
        gradient = None
        if gradients is not None:
            along = (gradients * vectors).sum(dim=1, keepdim=True)
            gradient = (gradients - along * vectors) / lengths
        if gradients_of_lengths is not None:  # only in second derivatives
            of_lengths = gradients_of_lengths * vectors
            gradient = of_lengths if gradient is None else gradient + of_lengths
        return gradient
