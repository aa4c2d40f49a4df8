"""Mean reciprocal rank."""

from core.types import Scores
from evaluation.metrics.ranking import Ranking


def reciprocal_rank(ranking: Ranking) -> Scores:
    """One over the rank at which the query's first relevant item comes, wherever that is.

        MRR(q) = 1 / r_1

    Range (0, 1], higher is better. Source: Voorhees, TREC-8, 1999.

    Elsewhere: pytorch-metric-learning's mean_reciprocal_rank is 0 for a query whose first hit
    comes after its k; with k=None it is this.

    >>> import torch
    >>> ranks = torch.tensor([[4, 9]])
    >>> ranking = Ranking(ranks, num_relevant=torch.tensor([2]), class_size=torch.tensor([3]))
    >>> reciprocal_rank(ranking).item()
    0.25
    """
    return 1 / ranking.ranks[:, 0].double()
