"""mAP_lim and mAP_1000, truncated average precision as in the code of Roth et al. 2020."""

from core.ranges import PositiveInt
from core.types import Scores
from evaluation.metrics.ranking import Ranking, sum_of_precisions


def map_lim(ranking: Ranking, k: PositiveInt) -> Scores:
    """mAP_lim: average precision over the `k` nearest neighbours, divided by the class size.

        map_lim(q) = 1/n Σ_{r=1..k} P(r) rel(r),   P(r) = (relevant among the first r) / r

    n is the size of the query's class, including the query if the query is in the gallery: a
    perfect ranking scores (n - 1) / n if n <= k, see `map_c`. A gallery of fewer than `k` items is
    ranked completely. Range [0, 1], higher is better.
    Source: https://github.com/Confusezius/Revisiting_Deep_Metric_Learning_PyTorch.

    Elsewhere: the code of Roth et al. pads a gallery of fewer than k items and counts the padding,
    which gives values above 1. `map@k` divides by min(k, R), pytorch-metric-learning by R.

    Args:
        k: depth of the ranking, >= 1; 1000 for mAP_1000, 1023 for mAP_lim (limit of faiss on GPUs).
    """
    if k < 1:
        raise ValueError(f"map_lim needs a depth k of at least 1, got {k}")
    return sum_of_precisions(ranking, depth=k) / ranking.class_size
