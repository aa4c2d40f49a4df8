"""FNMR@FMR, false non-match rate at a false match rate: ISO/IEC 19795-1."""

from typing import Annotated

import torch
from annotated_types import Ge, Le

from core.types import Scalar
from evaluation.search.pairs import Pairs
from evaluation.verification.operating_points import (
    at_most_fmr,
    find_operating_points,
    leading_histograms,
)


def fnmr_at_fmr(pairs: Pairs, fmr: Annotated[float, Ge(0), Le(1)]) -> Scalar:
    """FNMR@FMR: share of positive pairs below the threshold that a share `fmr` of negatives exceed.

        FNMR = (positive pairs with similarity <= t) / (positive pairs),
        t = the smallest negative similarity that at most fmr · (negative pairs) exceed

    A pair matches if its similarity is greater than the threshold t; a similarity equal to t is no
    match. A pair consists of a query and a gallery item that it does not ignore, never of a sample
    and itself. Queries without a relevant item contribute negative pairs. Range [0, 1], lower is
    better. The result is exact for the float32 similarities: two passes count their bits, and no
    list of pairs is stored.
    Source: ISO/IEC 19795-1.

    Elsewhere: open-metric-learning's fnmr@fmr uses the interpolated quantile of the negative
    distances as the threshold, which differs by less than one negative pair.

    Args:
        fmr: share of negative pairs that may match, in [0, 1].

    Raises:
        UndefinedError: there are no positive or no negative pairs.
    """
    if not 0 <= fmr <= 1:
        raise ValueError(f"fmr must be in [0, 1], got {fmr}")
    coarse = leading_histograms(pairs)
    missed = 0
    if fmr < 1:  # else everything matches
        (point,) = find_operating_points(pairs, coarse, [at_most_fmr(fmr, coarse.total)])
        missed = point.total.positives - point.above.positives
    missed_pairs = torch.tensor(missed, dtype=torch.float64, device=pairs.labels.device)
    return missed_pairs / coarse.total.positives
