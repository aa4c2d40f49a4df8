"""Precision@k: Manning et al., 2008, section 8.4."""

import torch

from core.ranges import PositiveInt
from core.types import Scores
from evaluation.metrics.ranking import Ranking


def precision_at_k(ranking: Ranking, k: PositiveInt) -> Scores:
    """Precision@k: share of the `k` nearest neighbours that are relevant.

        precision@k(q) = (relevant among the first k) / k

    Range [0, min(k, R) / k], where R is the number of relevant items: with R < k, or in a gallery
    of fewer than k items, a perfect ranking scores less than 1. Higher is better.
    Source: Manning et al., Introduction to Information Retrieval, 2008, section 8.4.

    Elsewhere: open-metric-learning's precision@k divides by min(k, R), so that a perfect ranking
    scores 1. With k = 1 it equals recall@1 and the precision_at_1 of pytorch-metric-learning.

    Args:
        k: number of neighbours, >= 1.

    >>> ranks = torch.tensor([[1, 3, 9]])
    >>> ranking = Ranking(ranks, num_relevant=torch.tensor([3]), class_size=torch.tensor([4]))
    >>> precision_at_k(ranking, k=4).item()
    0.5
    """
    if k < 1:
        raise ValueError(f"precision@k needs k of at least 1, got {k}")
    return (ranking.ranks <= k).sum(dim=1, dtype=torch.float64) / k
