"""Normalised discounted cumulative gain (NDCG): Järvelin and Kekäläinen, TOIS 2002."""

import torch

from core.ranges import PositiveInt
from core.types import Scores
from evaluation.metrics.ranking import Ranking


def ndcg_at_k(ranking: Ranking, k: PositiveInt) -> Scores:
    """NDCG@k: discounted gain of the `k` nearest neighbours over that of a perfect ranking.

        NDCG@k(q) = Σ_{relevant at r <= k} 1/log2(r + 1)  /  Σ_{i=1..min(k, R)} 1/log2(i + 1)

    Relevance is binary: the gain of an item is 1 or 0. Range [0, 1], a perfect ranking scores 1,
    higher is better.

    Elsewhere: scikit-learn's `ndcg_score` averages over the orders of tied items; here an
    irrelevant item comes first. The gains 2^rel - 1 and rel are equal for binary relevance.

    Args:
        k: number of neighbours, >= 1.

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
    dcg = discounts(ranking.ranks.masked_fill(~within, k)).where(within, 0).sum(dim=1)
    max_relevant = ranking.ranks.shape[1]
    perfect = torch.arange(1, max_relevant + 1, device=ranking.ranks.device)
    ideal_dcg = discounts(perfect).cumsum(dim=0)
    return dcg / ideal_dcg[ranking.num_relevant.clamp(max=k) - 1]


def discounts(ranks: torch.Tensor) -> torch.Tensor:
    """Discounted gain of a relevant item at each rank, float64."""
    return 1 / (ranks + 1).double().log2()
