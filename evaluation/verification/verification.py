"""Verification: same or different decisions about pairs, and how well they hold for new classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from evaluation.search.pairs import Pairs
from evaluation.verification.class_bootstrap import Rates, interval, resampled_rates
from evaluation.verification.class_counts import ClassCounts, class_counts, threshold_grid
from evaluation.verification.class_spread import equal_distances, inconsistency, utility
from evaluation.verification.curves import Curve, equal_error_on, equal_error_rate, threshold_at
from evaluation.verification.operating_points import (
    OperatingPoint,
    PairCounts,
    at_most_fmr,
    at_most_fnmr,
    find_operating_points,
    leading_histograms,
)

FMRS = (1e-1, 1e-2, 1e-3, 1e-4)
EXPECTED_MATCHES = 30  # see `verify`
MIN_CLASSES = 10  # for an interval
CONFIDENCE = 0.95
OPIS_FMRS, OPIS_THRESHOLDS = (1e-2, 1e-1), 101  # as `evaluation.metrics.opis` has them

Interval = tuple[float, float] | None  # None: there are too few classes


class Estimate(NamedTuple):
    """Estimate: a number and its interval over classes."""

    value: float
    interval: Interval


class AtFmr(NamedTuple):
    """The threshold of a false match rate, and the true match rate there."""

    fmr: float
    threshold: Estimate
    tmr: Estimate


class AtThreshold(NamedTuple):
    """The rates of all pairs, and those of each class, at one threshold."""

    threshold: float
    fmr: Estimate
    tmr: Estimate
    classes: Tensor  # (C,) labels
    class_fmr: Tensor  # (C,)
    class_tmr: Tensor  # (C,), NaN for a class of one image


class RocCurve(NamedTuple):
    """ROC curve: the rates at T ascending thresholds, of all pairs and of resampled classes."""

    thresholds: Curve
    fmr: Curve
    tmr: Curve
    resampled: Rates | None


@dataclass(frozen=True)
class Verification:
    """Verification: what thresholds do to all pairs of a set.

    Attributes:
        num_pairs: negative and positive pairs; each pair counts once.
        by_fmr: an entry for each false match rate that the number of pairs supports.
        unsupported: the other ones.
        eer: equal error rate; its threshold is `eer_threshold`.
        opis: operating-point inconsistency score.
        given: an entry for each given threshold.
    """

    num_classes: int
    num_pairs: PairCounts
    by_fmr: list[AtFmr]
    unsupported: list[float]
    eer: Estimate
    eer_threshold: float
    opis: float
    curve: RocCurve
    given: list[AtThreshold]


def verify(
    pairs: Pairs,
    *,
    fmrs: Sequence[float] = FMRS,
    thresholds: Sequence[float] = (),
    resamples: int = 1000,
    seed: int = 0,
) -> Verification:
    """Verification of all pairs, in three passes over them.

    A false match rate is reported if it means at least 30 false matches. With fewer, a rate is
    known no better than ±30 % at 90 % confidence even if pairs were independent: the rule of 30,
    Doddington et al., Speech Communication 31, 2000. Thresholds and rates are exact for the float32
    similarities. Intervals are those of `evaluation.verification.class_bootstrap`, on a grid of
    about 500 thresholds: neighbours differ by at most 7 % in FMR where there are 1e8 negative
    pairs, and rates between them are interpolated.

    Args:
        fmrs: false match rates to find the thresholds of.
        thresholds: given thresholds, whose rates are reported.
        resamples: number of draws of classes.
        seed: of these draws.

    Raises:
        UndefinedError: there are no positive or no negative pairs.
    """
    coarse = leading_histograms(pairs)
    num_pairs = counted_once(pairs, coarse.total)
    supported = [fmr for fmr in fmrs if fmr * num_pairs.negatives >= EXPECTED_MATCHES]
    conditions = [at_most_fmr(fmr, coarse.total) for fmr in (*supported, *OPIS_FMRS)]
    conditions.append(at_most_fnmr(coarse.total))
    *points, largest, least, at_eer = find_operating_points(pairs, coarse, conditions)
    consistent = equal_distances(least.threshold, largest.threshold, OPIS_THRESHOLDS, pairs)
    exact = torch.tensor([*(point.threshold for point in points), *thresholds])
    grid = torch.unique(torch.cat([threshold_grid(coarse), consistent, exact]))
    counts = class_counts(pairs, grid, seed=seed)
    curve = roc_curve(counts, resamples, seed)
    return Verification(
        num_classes=len(counts.classes),
        num_pairs=num_pairs,
        by_fmr=[at_fmr(f, point, curve) for f, point in zip(supported, points, strict=True)],
        unsupported=[fmr for fmr in fmrs if fmr not in supported],
        eer=Estimate(equal_error_rate(at_eer), over_resamples(curve, equal_error_on)),
        eer_threshold=at_eer.threshold,
        opis=float(inconsistency(utility(counts)[:, torch.searchsorted(grid, consistent)])),
        curve=curve,
        given=[at_threshold(threshold, counts, curve) for threshold in thresholds],
    )


def counted_once(pairs: Pairs, total: PairCounts) -> PairCounts:
    """Numbers of pairs; where every query is in the gallery, both orders of a pair are counted."""
    both_orders = pairs.queries.equal(pairs.gallery)
    return PairCounts(*(num // 2 for num in total)) if both_orders else total


def roc_curve(counts: ClassCounts, resamples: int, seed: int) -> RocCurve:
    """Rates of all pairs at each threshold, and those of resampled classes."""
    positives, negatives = counts.positives.sum(dim=0), counts.negatives.sum(dim=0)
    enough = len(counts.classes) >= MIN_CLASSES
    return RocCurve(
        counts.thresholds.double().numpy(),
        (negatives[:-1] / negatives[-1]).numpy(),
        (positives[:-1] / positives[-1]).numpy(),
        resampled_rates(counts, resamples, seed) if enough else None,
    )


def over_resamples(curve: RocCurve, estimate: Callable[[Curve, Curve], float]) -> Interval:
    """The interval of what `estimate` makes of the FMR and TMR of each resample."""
    if curve.resampled is None:
        return None
    rates = zip(*(rate.numpy() for rate in curve.resampled), strict=True)
    return interval(torch.tensor([estimate(*rate) for rate in rates]).double(), CONFIDENCE)


def at_fmr(fmr: float, point: OperatingPoint, curve: RocCurve) -> AtFmr:
    """The entry of a false match rate; each resample has a threshold of its own."""
    thresholds = over_resamples(curve, lambda f, _: threshold_at(fmr, f, curve.thresholds))
    rates = over_resamples(
        curve,
        lambda f, t: float(np.interp(threshold_at(fmr, f, curve.thresholds), curve.thresholds, t)),
    )
    return AtFmr(fmr, Estimate(point.threshold, thresholds), Estimate(point.tmr, rates))


def at_threshold(threshold: float, counts: ClassCounts, curve: RocCurve) -> AtThreshold:
    """The entry of a given threshold, which is one of the grid."""
    column = int(torch.searchsorted(counts.thresholds, torch.tensor(threshold)))
    return AtThreshold(
        threshold,
        Estimate(float(curve.fmr[column]), over_resamples(curve, lambda f, _: float(f[column]))),
        Estimate(float(curve.tmr[column]), over_resamples(curve, lambda _, t: float(t[column]))),
        counts.classes,
        counts.fmr[:, column],
        counts.tmr[:, column],
    )
