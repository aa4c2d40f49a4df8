"""MAP@k, average precision of a ranking truncated at a fixed depth."""

from core.ranges import PositiveInt
from core.types import Scores
from evaluation.metrics.ranking import Ranking, sum_of_precisions


def map_at_k(ranking: Ranking, k: PositiveInt) -> Scores:
    """MAP@k: average precision over the `k` nearest neighbours, divided by min(k, R).

        MAP@k(q) = 1/min(k, R) Σ_{r=1..k} P(r) rel(r),   P(r) = (relevant among the first r) / r

    R is the number of relevant items. Range [0, 1], a perfect ranking scores 1 at every k, higher
    is better. In a gallery of at most k items it equals `map`.

    Elsewhere: pytorch-metric-learning's mean_average_precision with a k divides by R.
    open-metric-learning's map@k divides by the number of relevant items among the first k, which
    rewards rankings with few of them. `map_lim` and `map_1000`, as in the code of Roth et al.,
    divide by the size of the query's class.

    Args:
        k: depth of the ranking, >= 1.

    >>> import torch
    >>> ranks = torch.tensor([[1, 3, 9]])
    >>> ranking = Ranking(ranks, num_relevant=torch.tensor([3]), class_size=torch.tensor([4]))
    >>> map_at_k(ranking, k=2).item()  # (1/1) / 2
    0.5
    """
    if k < 1:
        raise ValueError(f"MAP@k needs k of at least 1, got {k}")
    return sum_of_precisions(ranking, depth=k) / ranking.num_relevant.clamp(max=k)
