"""Recall@K as the retrieval literature uses it: is any of the first K neighbours relevant?"""

from core.ranges import PositiveInt
from core.types import Scores
from evaluation.metrics.ranking import Ranking


def recall_at_k(ranking: Ranking, k: PositiveInt) -> Scores:
    """1 if one of the query's first `k` neighbours is relevant, else 0: a hit rate, or CMC@k.

    In a gallery of at most `k` items every query with something to find scores 1. Range [0, 1],
    higher is better. Source: Jégou et al., TPAMI 2011; Oh Song et al., CVPR 2016,
    https://arxiv.org/abs/1511.06452.

    Elsewhere: information retrieval calls the share of the relevant items found recall; this is
    its hit rate. CMC@k of re-identification is the same number, and so is, for k = 1, the
    precision_at_1 of pytorch-metric-learning. The code of Roth et al. has it twice, e_recall of
    the raw embeddings and c_recall of unit vectors, equal for models that normalise. Code that
    drops the first neighbour as the query itself differs where there are copies of it; that of
    Proxy-Anchor counts ties as hits.

    Args:
        k: number of neighbours looked at, >= 1.
    """
    if k < 1:
        raise ValueError(f"Recall@k needs k of at least 1, got {k}")
    return (ranking.ranks[:, 0] <= k).double()
