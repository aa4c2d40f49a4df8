"""Hardest pairs: the largest fraction of the marked entries of a matrix."""

import torch
from torch import Tensor

from core.batch_checks import can_read_without_sync
from core.types import Distances, Mask


def hardest(hardness: Distances, candidates: Mask, fraction: float) -> Mask:
    """Masks the hardest fraction of all candidates, rounded up to a whole number of pairs.

    Of equally hard pairs the first ones are kept. It takes O(N M) time on the CPU, and a sort where
    reading the number of candidates would make the host wait.

    Args:
        hardness: of each pair, larger is harder, (N, M).
        candidates: marks the pairs to choose among, (N, M).
        fraction: of the candidates, in (0, 1].
    """
    scores = hardness.masked_fill(~candidates, -torch.inf)
    count = (fraction * candidates.sum().double()).ceil().long()
    threshold = _kth_largest(scores.flatten(), count)
    above, tied = scores > threshold, candidates & (scores == threshold)
    order = tied.flatten().cumsum(dim=0, dtype=torch.int32).view_as(tied)
    return above | (tied & (order <= count - above.sum()))


def _kth_largest(scores: Tensor, k: Tensor) -> Tensor:
    """The k-th largest score; a sort finds it where reading k would make the host wait."""
    if can_read_without_sync(scores):
        return scores.kthvalue(len(scores) + 1 - max(1, int(k))).values
    return scores.sort(descending=True).values.gather(0, (k - 1).clamp(min=0)[None])
