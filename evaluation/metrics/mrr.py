"""Mean reciprocal rank (MRR): Voorhees, TREC-8, 1999."""

from core.types import Scores
from evaluation.metrics.ranking import Ranking


def reciprocal_rank(ranking: Ranking) -> Scores:
    """Mean reciprocal rank: one over the rank of the first relevant item.

        MRR(q) = 1 / r_1,   r_1 = rank of the first relevant item in the whole gallery

    Range (0, 1], higher is better. Source: Voorhees, TREC-8, 1999.

    Elsewhere: pytorch-metric-learning's mean_reciprocal_rank is the same with k=None; with another
    k it is 0 for a query whose first relevant item is not among the first k.

    >>> import torch
    >>> ranks = torch.tensor([[4, 9]])
    >>> ranking = Ranking(ranks, num_relevant=torch.tensor([2]), class_size=torch.tensor([3]))
    >>> reciprocal_rank(ranking).item()
    0.25
    """
    return 1 / ranking.ranks[:, 0].double()
