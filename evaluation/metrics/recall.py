"""Recall@k: Jégou et al., TPAMI 2011; Oh Song et al., CVPR 2016."""

from core.ranges import PositiveInt
from core.types import Scores
from evaluation.metrics.ranking import Ranking


def recall_at_k(ranking: Ranking, k: PositiveInt) -> Scores:
    """Recall@k: share of queries with a relevant item among the `k` nearest neighbours.

        recall@k(q) = 1 if r_1 <= k, else 0,   r_1 = rank of the first relevant item

    In a gallery of at most `k` items every query with a relevant item scores 1. Range [0, 1],
    higher is better. Source: Jégou et al., TPAMI 2011; Oh Song et al., CVPR 2016,
    https://arxiv.org/abs/1511.06452.

    Elsewhere: in information retrieval, recall is the share of the relevant items that are
    retrieved, and this metric is called the hit rate. In re-identification it is CMC@k. For k = 1
    it is the precision_at_1 of pytorch-metric-learning. The code of Roth et al. computes it twice:
    e_recall of the raw embeddings and c_recall of unit vectors, equal for models that normalise.
    Code that drops the first neighbour as the query itself differs if the gallery has duplicates of
    the query. The code of Proxy-Anchor counts ties as hits.

    Args:
        k: number of neighbours, >= 1.
    """
    if k < 1:
        raise ValueError(f"Recall@k needs k of at least 1, got {k}")
    return (ranking.ranks[:, 0] <= k).double()
