"""Soft maxima over the marked entries of each row: the smooth hinges of many objectives."""

import torch
from torch import Tensor

from core.types import Mask


def log1p_sum_exp(logits: Tensor, where: Mask) -> Tensor:
    """log(1 + Σ exp(logits)) of each row over its marked entries, (N, M) -> (N,).

    The appended zero logit is the "1 +". It also makes an empty row exactly 0, gradient included.
    """
    one = logits.new_zeros(len(logits), 1)
    marked = logits.masked_fill(~where, -torch.inf)
    return torch.cat([one, marked], dim=1).logsumexp(dim=1)
