"""Class counts: how many pairs of each class are above each of many thresholds, in one pass."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.types import Labels
from evaluation.search.pairs import Pairs
from evaluation.verification.operating_points import BYTES_PER_PAIR, Histograms, similarity_of

Thresholds = Float[Tensor, " T"]

MAX_GROUPS = 128  # of classes that are resampled together; a table has its square for a threshold
NEGATIVE, POSITIVE = 0, 1  # relations of `evaluation.search.pairs`


class ClassCounts(NamedTuple):
    """Class counts: numbers of pairs above each of T ascending thresholds.

    The last column, of T + 1, has all pairs. On the host, in float64, where sums are exact.

    thresholds: (T,).
    classes: (C,) labels.
    positives: (C, T + 1), pairs of two images of a class.
    negatives: (C, T + 1), pairs with one image of a class.
    groups: (C,) group of each class, 0..G-1; up to 128 classes are a group each.
    between_groups: (G, G, T + 1), negative pairs of a query and a gallery image of two groups.
    """

    thresholds: Thresholds
    classes: Labels
    positives: Float[Tensor, "C T1"]
    negatives: Float[Tensor, "C T1"]
    groups: Int[Tensor, " C"]
    between_groups: Float[Tensor, "G G T1"]

    @property
    def tmr(self) -> Float[Tensor, "C T"]:
        """True match rate of each class; NaN for a class without a positive pair."""
        return self.positives[:, :-1] / self.positives[:, -1:]

    @property
    def fmr(self) -> Float[Tensor, "C T"]:
        """False match rate of each class: of the pairs with one image of it."""
        return self.negatives[:, :-1] / self.negatives[:, -1:]


def class_counts(
    pairs: Pairs, thresholds: Thresholds, *, max_groups: int = MAX_GROUPS, seed: int = 0
) -> ClassCounts:
    """Count the pairs of each class above each threshold, in one pass over all pairs.

    Args:
        thresholds: ascending, float32.
        max_groups: number of groups if there are more classes, which are assigned at random.
        seed: of that assignment.
    """
    classes = torch.unique(pairs.labels[torch.cat([pairs.queries, pairs.gallery])])
    # int32, as a chunk has a number for each pair; a sample that is in no pair is never read
    place = torch.searchsorted(classes, pairs.labels).int()
    groups = random_groups(len(classes), max_groups, seed).to(place)
    num, num_groups, num_bins = len(classes), int(groups.max()) + 1, len(thresholds) + 1
    thresholds = thresholds.to(pairs.points.device, torch.float32)
    gallery, both_orders = place[pairs.gallery], pairs.queries.equal(pairs.gallery)

    def count(queries: Tensor, similarities: Tensor, relations: Tensor) -> list[Tensor]:
        bins = torch.bucketize(similarities, thresholds, out_int32=True)  # thresholds below a pair

        def negatives_by(rows: Tensor, num_rows: int) -> Tensor:
            """Histogram of the negative pairs by row, a number for each pair."""
            size = num_rows * num_bins
            index = (rows * num_bins + bins).masked_fill_(relations != NEGATIVE, size)
            return torch.bincount(index.view(-1), minlength=size + 1)[:size].view(-1, num_bins)

        rows = place[queries, None]
        query, item = (relations == POSITIVE).nonzero(as_tuple=True)
        index = rows[query, 0] * num_bins + bins[query, item]
        positives = torch.bincount(index, minlength=num * num_bins).view(-1, num_bins)
        between = negatives_by(groups[rows] * num_groups + groups[gallery], num_groups**2)
        if num_groups == num:  # those of classes are sums of those between groups
            return [positives, between]
        first = negatives_by(rows, num)
        second = first if both_orders else negatives_by(gallery, num)
        return [positives, between, first + second]

    sums: list[Tensor] = []
    for part in pairs.each_with_queries(count, extra=BYTES_PER_PAIR):
        sums = [*map(torch.add, sums, part)] if sums else part
    positives, between, *of_classes = (counts_above(bins.cpu()) for bins in sums)
    between = between.view(num_groups, num_groups, num_bins)
    negatives = of_classes[0] if of_classes else between.sum(dim=0) + between.sum(dim=1)
    groups = groups.cpu().long()
    return ClassCounts(thresholds.cpu(), classes.cpu(), positives, negatives, groups, between)


def counts_above(bins: Int[Tensor, "R B"]) -> Float[Tensor, "R B"]:
    """Numbers above each threshold, then of all, of the numbers between thresholds, in float64."""
    from_above = bins.double().flip(1).cumsum(dim=1).flip(1)
    return torch.cat([from_above[:, 1:], from_above[:, :1]], dim=1)


def random_groups(num_classes: int, max_groups: int, seed: int) -> Int[Tensor, " C"]:
    """Group of each class: its own, or one of `max_groups` random ones of almost equal size."""
    if num_classes <= max_groups:
        return torch.arange(num_classes)
    order = torch.randperm(num_classes, generator=torch.Generator().manual_seed(seed))
    return order % max_groups


def threshold_grid(histograms: Histograms, num: int = 256) -> Thresholds:
    """Ascending thresholds that spread the pairs: `num` by FMR, and half as many by TMR.

    The false match rates are from 1 to that of one pair, at equal ratios; the true match rates have
    equal differences. Similarities are interpolated between their leading 16 bits.
    """
    rates = torch.linspace(0, 1, num // 2, dtype=torch.float64)
    negatives, positives = histograms.total
    found = []
    for counts, wanted in (
        (histograms.negatives, negatives ** torch.linspace(0, 1, num, dtype=torch.float64)),
        (histograms.positives, positives * rates),
    ):
        used = counts.nonzero().squeeze(1).tolist()
        lower = [similarity_of(leading, 0) for leading in (*used, used[-1] + 1)]
        below = np.concatenate([[0], counts[used].cumsum(0).cpu().numpy()])
        found.append(np.interp(below[-1] - wanted.numpy(), below, lower))
    return torch.from_numpy(np.unique(np.concatenate(found).astype(np.float32)))
