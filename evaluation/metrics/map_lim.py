"""Average precision of a ranking cut at a fixed depth, as the code of Roth et al. defines it."""

from core.ranges import PositiveInt
from core.types import Scores
from evaluation.metrics.ranking import Ranking, sum_of_precisions


def map_lim(ranking: Ranking, k: PositiveInt) -> Scores:
    """Average precision over the first `k` neighbours, divided by the size n of the query's class.

        map_lim(q) = 1/n Σ_{r=1..k} P(r) rel(r)

    n counts the query itself if it is in the gallery: a perfect ranking scores (n - 1) / n if
    n <= k, see `map_c`. A gallery of fewer than `k` items is ranked as a whole. Range [0, 1],
    higher is better.
    Source: https://github.com/Confusezius/Revisiting_Deep_Metric_Learning_PyTorch.

    Elsewhere: their code pads a gallery of fewer than k items and counts the padding, which gives
    numbers above 1. `map@k` divides by min(k, R), pytorch-metric-learning by R.

    Args:
        k: depth of the ranking; mAP_1000 has 1000, mAP_lim 1023 (what faiss allows on a GPU).
    """
    if k < 1:
        raise ValueError(f"map_lim needs a depth k of at least 1, got {k}")
    return sum_of_precisions(ranking, depth=k) / ranking.class_size
