"""Normalised discounted cumulative gain: Järvelin and Kekäläinen, TOIS 2002."""

import torch

from core.ranges import PositiveInt
from core.types import Scores
from evaluation.metrics.ranking import Ranking


def ndcg_at_k(ranking: Ranking, k: PositiveInt) -> Scores:
    """Discounted gain of the first `k` neighbours over that of a perfect ranking.

        NDCG@k(q) = Σ_{relevant at r <= k} 1/log2(r + 1)  /  Σ_{i=1..min(k, R)} 1/log2(i + 1)

    An item is relevant or not: its gain is 1 or 0. Range [0, 1], a perfect ranking scores 1,
    higher is better.

    Elsewhere: scikit-learn's `ndcg_score` averages over the orders of tied items, here an
    irrelevant item comes first. Graded gains, 2^rel - 1 or rel, agree on gains of 0 and 1.

    Args:
        k: number of neighbours looked at, >= 1.

    >>> ranks = torch.tensor([[1, 3]])
    >>> ranking = Ranking(ranks, num_relevant=torch.tensor([2]), class_size=torch.tensor([3]))
    >>> ndcg_at_k(ranking, k=1).item()
    1.0
    >>> round(ndcg_at_k(ranking, k=3).item(), 4)  # (1 + 1/2) / (1 + 1/log2(3))
    0.9197
    """
    if k < 1:
        raise ValueError(f"NDCG@k needs k of at least 1, got {k}")
    within = ranking.ranks <= k
    found = gains(ranking.ranks.masked_fill(~within, k)).where(within, 0).sum(dim=1)
    widest = ranking.ranks.shape[1]
    ideal = gains(torch.arange(1, widest + 1, device=ranking.ranks.device)).cumsum(dim=0)
    return found / ideal[ranking.num_relevant.clamp(max=k) - 1]


def gains(ranks: torch.Tensor) -> torch.Tensor:
    """What a relevant item at each rank is worth, float64."""
    return 1 / (ranks + 1).double().log2()
