"""mAP_c, the mAP of Roth et al., ICML 2020, https://arxiv.org/abs/2002.08473."""

from core.types import Scores
from evaluation.metrics.ranking import Ranking, sum_of_precisions


def map_c(ranking: Ranking) -> Scores:
    """mAP_c: average precision over the n nearest neighbours, n = size of the query's class.

        map_c(q) = 1/n Σ_{r=1..n} P(r) rel(r),   P(r) = (relevant among the first r) / r

    n includes the query if the query is in the gallery, although the query is not ranked. A perfect
    ranking therefore scores (n - 1) / n: 0.5 in a class of two and 0.8 in a class of five. The
    tables of Roth et al. show this number. Queries outside the gallery can score 1. Range [0, 1],
    higher is better.

    Elsewhere: the paper and the public runs of Roth et al. call this metric mAP; their code now
    computes another metric, over the full ranking, under that name. MAP@R uses R = n - 1 in both
    places. Their code scores a query without another image of its class as 0; here such a query is
    excluded.
    """
    return sum_of_precisions(ranking, depth=ranking.class_size) / ranking.class_size
