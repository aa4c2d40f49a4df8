"""MAP@R: Musgrave et al., ECCV 2020, https://arxiv.org/abs/2003.08505."""

from core.types import Scores
from evaluation.metrics.ranking import Ranking, sum_of_precisions


def map_at_r(ranking: Ranking) -> Scores:
    """MAP@R: average precision over the R nearest neighbours, R = number of relevant items.

        MAP@R(q) = 1/R Σ_{r=1..R} P(r) rel(r),   P(r) = (relevant among the first r) / r

    R is the number of relevant items of the query. Unlike Recall@1, the score is 1 only if *all*
    relevant items come first. Range [0, 1], a perfect ranking scores 1, higher is better.

    Elsewhere: the same as pytorch-metric-learning's mean_average_precision_at_r. `map_c` differs in
    that it includes the query in R.

    >>> import torch
    >>> ranks = torch.tensor([[1, 3, 9]])
    >>> ranking = Ranking(ranks, num_relevant=torch.tensor([3]), class_size=torch.tensor([4]))
    >>> map_at_r(ranking).item()  # (1/1 + 2/3) / 3
    0.5555555555555555
    """
    return sum_of_precisions(ranking, depth=ranking.num_relevant) / ranking.num_relevant
