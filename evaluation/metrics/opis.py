"""OPIS, operating-point inconsistency: Zhang et al., ICLR 2024, https://arxiv.org/abs/2307.04047."""

from typing import Annotated

from annotated_types import Ge, Gt, Lt

from core.types import Scalar
from evaluation.search.pairs import Pairs
from evaluation.verification.class_counts import class_counts
from evaluation.verification.class_spread import equal_distances, inconsistency, utility
from evaluation.verification.operating_points import (
    at_most_fmr,
    find_operating_points,
    leading_histograms,
)

Fraction = Annotated[float, Gt(0), Lt(1)]


def opis(
    pairs: Pairs,
    lowest: Fraction = 0.01,
    highest: Fraction = 0.1,
    num_thresholds: Annotated[int, Ge(2)] = 101,
) -> Scalar:
    """Operating-point inconsistency score: variance over classes of what one threshold does.

        OPIS = mean over distances d and classes i of (U_i(d) - mean over classes of U(d))²,
        U_i(d) = 2 φ ψ / (φ + ψ),
        φ = share of the pairs of two images of class i at a distance below d,
        ψ = share of the pairs of an image of class i and one of another class that are not,
        d = `num_thresholds` distances at equal steps, between those whose false match rates over
            all negative pairs are `lowest` and `highest`

    Distances are those of `evaluation.measure.distance`; cosine means the Euclidean distance of
    unit vectors. Classes without a pair of two images are left out. Range [0, 0.25], lower is
    better: at 0 one threshold suits every class alike, well or badly.

    Elsewhere: implementations of this name differ in the utility (F1 of precision and recall), in
    the thresholds (fixed ones) and in the mean (absolute differences); compare none without its
    definition.

    Args:
        lowest: false match rate of the least distance.
        highest: false match rate of the largest distance.
        num_thresholds: number of distances.

    Raises:
        UndefinedError: there are no positive or no negative pairs.
    """
    if not 0 < lowest < highest < 1:
        raise ValueError(f"0 < lowest < highest < 1 expected, got {lowest} and {highest}")
    coarse = leading_histograms(pairs)
    conditions = [at_most_fmr(fmr, coarse.total) for fmr in (lowest, highest)]
    largest, least = (p.threshold for p in find_operating_points(pairs, coarse, conditions))
    thresholds = equal_distances(least, largest, num_thresholds, pairs)
    counts = class_counts(pairs, thresholds, max_groups=1)
    return inconsistency(utility(counts)).to(pairs.points.device)
