"""Masked log-sum-exp over rows, a smooth maximum that many losses use."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, autograd

from core.kernels.pack_positives import pack_positives
from core.reducer import LossTerms, loss_terms
from core.types import Mask, Pairs


def log1p_sum_exp(logits: Tensor, where: Mask) -> Tensor:
    """Log-sum-exp with a zero: log(1 + Σ exp(logits)) over the marked entries, (N, M) -> (N,).

    A row without marked entries gives exactly 0 with a gradient of 0. There is no second
    derivative.
    """
    smooth_maxima: Tensor = _LogSumExp.apply(logits, where, 1, True)
    return smooth_maxima.squeeze(1)


def log_sum_exp(logits: Tensor, where: Mask, dim: int = 1) -> Tensor:
    """Log-sum-exp: log Σ exp(logits) over the marked entries along `dim`, which is kept at size 1.

    Without marked entries the result is -inf and its gradient is 0; no intermediate is NaN. There
    is no second derivative.
    """
    smooth_maxima: Tensor = _LogSumExp.apply(logits, where, dim, False)
    return smooth_maxima


class _LogSumExp(autograd.Function):
    """Saves one copy of the logits; autograd would save several, most of the time of a loss."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, where: Mask, dim: int, plus_one: bool) -> Tensor:  # noqa: ANN401
        marked = torch.where(where, logits, -torch.inf)
        peak = marked.amax(dim=dim, keepdim=True)
        peak = peak.clamp(min=0) if plus_one else peak.masked_fill(peak.isinf(), 0)
        exponentials = marked.sub_(peak).exp_()
        sums = exponentials.sum(dim=dim, keepdim=True)
        sums = sums + (-peak).exp() if plus_one else sums
        ctx.save_for_backward(exponentials, sums)
        return sums.log() + peak

    @staticmethod
    @autograd.function.once_differentiable
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        exponentials, sums = ctx.saved_tensors
        empty = sums == 0
        gradients = gradients.masked_fill(empty, 0) / sums.masked_fill(empty, 1)
        return exponentials * gradients, None, None, None


def pair_cross_entropy(logits: Tensor, pairs: Pairs) -> LossTerms:
    """Cross-entropy of each positive pair (a, p): -log(e^s_ap / (e^s_ap + Σ_n e^s_an)).

    n are the negatives of a. It takes no more memory than the logits s, (N, M). The loss of a pair
    whose anchor has no negatives is 0.
    """
    positive_logits, valid = pack_positives(logits, pairs.positives)
    hardness = log_sum_exp(logits, where=pairs.negatives) - positive_logits
    return loss_terms(F.softplus(hardness), where=valid)
