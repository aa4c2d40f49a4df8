"""Recall@K as the retrieval literature uses it: is any of the first K neighbours relevant?"""

from core.types import Scores
from evaluation.ranking import Ranking


def recall_at_k(ranking: Ranking, k: int) -> Scores:
    """1 if one of the query's first `k` neighbours is relevant, else 0: a hit rate, or CMC@k.

    Not the share of relevant items found, which information retrieval calls recall. In a gallery
    of at most `k` items every query with something to find scores 1.
    Higher is better. Source: Jégou et al., TPAMI 2011; Oh Song et al., CVPR 2016,
    https://arxiv.org/abs/1511.06452.

    Args:
        k: number of neighbours looked at, >= 1.
    """
    if k < 1:
        raise ValueError(f"Recall@k needs k of at least 1, got {k}")
    return (ranking.ranks[:, 0] <= k).double()
