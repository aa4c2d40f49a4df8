"""Masked log-sum-exp over rows: the soft maxima of many losses."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, autograd

from core.kernels.pack_positives import pack_positives
from core.reducer import LossTerms, loss_terms
from core.types import Mask, Pairs


def log1p_sum_exp(logits: Tensor, where: Mask) -> Tensor:
    """log(1 + Σ exp(logits)) of each row over its marked entries, (N, M) -> (N,).

    An empty row is exactly 0, gradient included. There is no second derivative.
    """
    soft_maxima: Tensor = _LogSumExp.apply(logits, where, 1, True)
    return soft_maxima.squeeze(1)


def log_sum_exp(logits: Tensor, where: Mask, dim: int = 1) -> Tensor:
    """log Σ exp(logits) over the marked entries along `dim`, which is kept, with size 1.

    -inf where none is marked, without a gradient and without a NaN on its way. There is no second
    derivative.
    """
    soft_maxima: Tensor = _LogSumExp.apply(logits, where, dim, False)
    return soft_maxima


class _LogSumExp(autograd.Function):
    """Keeps one copy of the logits, where autograd keeps several: most of a loss's time."""

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
    """-log(e^s_ap / (e^s_ap + Σ_n e^s_an)) of each positive pair (a, p), n the negatives of a.

    Only rows are summed, so that it takes no more memory than the logits s, (N, M). A pair whose
    anchor has no negatives is 0.
    """
    of_positives, valid = pack_positives(logits, pairs.positives)
    hardness = log_sum_exp(logits, where=pairs.negatives) - of_positives
    return loss_terms(F.softplus(hardness), where=valid)
