"""The mAP of Roth et al., ICML 2020, https://arxiv.org/abs/2002.08473 (in their code: mAP_c)."""

from core.types import Scores
from evaluation.metrics.ranking import Ranking, sum_of_precisions


def map_c(ranking: Ranking) -> Scores:
    """Average precision over the first n neighbours, n being the size of the query's class.

        map_c(q) = 1/n Σ_{r=1..n} P(r) rel(r)

    n counts the query itself if it is in the gallery, though it is no neighbour of itself: a
    perfect ranking scores (n - 1) / n, 0.5 in a class of two and 0.8 in a class of five. That is
    the number their tables show. Queries outside the gallery can score 1. Range [0, 1], higher is
    better.

    Elsewhere: what their paper and their public runs call mAP; their code has since had another
    number, over the full ranking, under that name. MAP@R has R = n - 1 in both places. Their code
    counts a query whose class has no other image as 0; here it is excluded.
    """
    return sum_of_precisions(ranking, depth=ranking.class_size) / ranking.class_size
