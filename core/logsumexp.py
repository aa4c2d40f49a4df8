"""Soft maxima over the marked entries of each row: the smooth hinges of many objectives."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.reducer import Terms, terms_of
from core.types import Mask, Pairs


def log1p_sum_exp(logits: Tensor, where: Mask) -> Tensor:
    """log(1 + Σ exp(logits)) of each row over its marked entries, (N, M) -> (N,).

    The appended zero logit is the "1 +". It also makes an empty row exactly 0, gradient included.
    """
    one = logits.new_zeros(len(logits), 1)
    marked = logits.masked_fill(~where, -torch.inf)
    return torch.cat([one, marked], dim=1).logsumexp(dim=1)


def log_sum_exp(logits: Tensor, where: Mask, dim: int = 1) -> Tensor:
    """log Σ exp(logits) over the marked entries along `dim`, which is kept, with size 1.

    -inf where none is marked, without a gradient and without a NaN on its way.
    """
    empty = ~where.any(dim=dim, keepdim=True)
    marked = logits.masked_fill(~(where | empty), -torch.inf)
    return marked.logsumexp(dim=dim, keepdim=True).masked_fill(empty, -torch.inf)


def pair_cross_entropy(logits: Tensor, pairs: Pairs) -> Terms:
    """-log(e^s_ap / (e^s_ap + Σ_n e^s_an)) of each positive pair (a, p), n the negatives of a.

    Only rows are summed, so that it takes no more memory than the logits s, (N, M). A pair whose
    anchor has no negatives is 0.
    """
    hardness = log_sum_exp(logits, where=pairs.negatives) - logits
    return terms_of(F.softplus(hardness), where=pairs.positives)
