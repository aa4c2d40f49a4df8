"""Mean average precision over the full ranking of the gallery."""

from core.types import Scores
from evaluation.metrics.ranking import ABSENT, Ranking, sum_of_precisions


def average_precision(ranking: Ranking) -> Scores:
    """Mean, over the query's R relevant items, of the precision at the rank where each comes.

        AP(q) = 1/R Σ_{r} P(r) rel(r),   P(r) = (relevant among the first r) / r

    The whole gallery is ranked, nothing is cut off. Range (0, 1], a perfect ranking scores 1,
    higher is better. The sum itself, not the trapezoidal rule of the Oxford buildings.
    Source: Manning et al., Introduction to Information Retrieval, 2008, section 8.4.

    Elsewhere: the code of Roth et al. has under mAP a number divided by the size of the query's
    class, the query included, and the mAP of their paper is `map_c`; the same as here are
    pytorch-metric-learning's mean_average_precision with k=None, and torchmetrics' of similarities
    that are all positive (it drops items of similarity 0 or less).

    >>> import torch
    >>> ranks = torch.tensor([[1, 3, 9]])
    >>> ranking = Ranking(ranks, num_relevant=torch.tensor([3]), class_size=torch.tensor([4]))
    >>> average_precision(ranking).item()  # (1/1 + 2/3 + 3/9) / 3
    0.6666666666666666
    """
    return sum_of_precisions(ranking, depth=ABSENT - 1) / ranking.num_relevant
