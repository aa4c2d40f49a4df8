"""R-precision: Musgrave et al., ECCV 2020, https://arxiv.org/abs/2003.08505."""

import torch

from core.types import Scores
from evaluation.metrics.ranking import Ranking


def r_precision(ranking: Ranking) -> Scores:
    """R-precision: share of the R nearest neighbours that are relevant, R = number of relevant.

        r_precision(q) = (relevant among the first R) / R

    R is the number of relevant items of the query. At this depth precision equals recall, the share
    of the relevant items that are retrieved. Range [0, 1], a perfect ranking scores 1, higher is
    better. Unlike MAP@R it does not depend on the order of the first R.

    Elsewhere: the same in pytorch-metric-learning.

    >>> ranks = torch.tensor([[1, 3, 9]])
    >>> ranking = Ranking(ranks, num_relevant=torch.tensor([3]), class_size=torch.tensor([4]))
    >>> r_precision(ranking).item()  # the first and the third of the first three
    0.6666666666666666
    """
    retrieved = (ranking.ranks <= ranking.num_relevant[:, None]).sum(dim=1, dtype=torch.float64)
    return retrieved / ranking.num_relevant
