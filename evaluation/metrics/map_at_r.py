"""MAP@R: Musgrave et al., ECCV 2020, https://arxiv.org/abs/2003.08505."""

from core.types import Scores
from evaluation.metrics.ranking import Ranking, sum_of_precisions


def map_at_r(ranking: Ranking) -> Scores:
    """Average precision over the first R neighbours, R being the query's own relevant count.

        MAP@R(q) = 1/R Σ_{r=1..R} P(r) rel(r),   P(r) = (relevant among the first r) / r

    Unlike Recall@1 it asks for *every* relevant item to come first. Range [0, 1], a perfect
    ranking scores 1, higher is better.

    Elsewhere: the same as pytorch-metric-learning's mean_average_precision_at_r. `map_c`, nearly
    this, counts the query itself into R in both places.

    >>> import torch
    >>> ranks = torch.tensor([[1, 3, 9]])
    >>> ranking = Ranking(ranks, num_relevant=torch.tensor([3]), class_size=torch.tensor([4]))
    >>> map_at_r(ranking).item()  # (1/1 + 2/3) / 3
    0.5555555555555555
    """
    return sum_of_precisions(ranking, depth=ranking.num_relevant) / ranking.num_relevant
