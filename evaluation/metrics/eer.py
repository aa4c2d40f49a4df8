"""EER, equal error rate of same or different decisions: ISO/IEC 19795-1."""

import torch

from core.types import Scalar
from evaluation.search.pairs import Pairs
from evaluation.verification.curves import equal_error_rate
from evaluation.verification.operating_points import (
    at_most_fnmr,
    find_operating_points,
    leading_histograms,
)


def eer(pairs: Pairs) -> Scalar:
    """Equal error rate: the false match rate at the threshold where FMR = FNMR.

        FMR(t) = share of negative pairs with similarity > t,
        FNMR(t) = share of positive pairs with similarity <= t

    Between two points of the ROC curve, the rate is where their line crosses FMR = FNMR. Pairs
    consist of a query and a gallery item, never of a sample and itself. Range [0, 1], lower is
    better; 0.5 is chance. It is exact for the float32 similarities. Source: ISO/IEC 19795-1.

    Raises:
        UndefinedError: there are no positive or no negative pairs.
    """
    coarse = leading_histograms(pairs)
    (point,) = find_operating_points(pairs, coarse, [at_most_fnmr(coarse.total)])
    rate = equal_error_rate(point)
    return torch.tensor(rate, dtype=torch.float64, device=pairs.labels.device)
