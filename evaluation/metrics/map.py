"""Mean average precision (mAP): Manning et al., 2008, section 8.4."""

from core.types import Scores
from evaluation.metrics.ranking import ABSENT, Ranking, sum_of_precisions


def average_precision(ranking: Ranking) -> Scores:
    """mAP: mean precision at the ranks of the relevant items, over the whole gallery.

        AP(q) = 1/R Σ_{r} P(r) rel(r),   P(r) = (relevant among the first r) / r

    R is the number of relevant items of the query. The ranking is not truncated. Range (0, 1], a
    perfect ranking scores 1, higher is better.
    Source: Manning et al., Introduction to Information Retrieval, 2008, section 8.4.

    Elsewhere: pytorch-metric-learning's mean_average_precision with k=None is the same. The mAP in
    the code of Roth et al. divides by the size of the query's class, including the query; the mAP
    in their paper is `map_c`. torchmetrics drops items with a similarity of 0 or less, and is the
    same if all similarities are positive. The evaluation of the Oxford buildings dataset uses the
    trapezoidal rule.

    >>> import torch
    >>> ranks = torch.tensor([[1, 3, 9]])
    >>> ranking = Ranking(ranks, num_relevant=torch.tensor([3]), class_size=torch.tensor([4]))
    >>> average_precision(ranking).item()  # (1/1 + 2/3 + 3/9) / 3
    0.6666666666666666
    """
    return sum_of_precisions(ranking, depth=ABSENT - 1) / ranking.num_relevant
