"""Operating points: thresholds on the similarity of all pairs, found by counting its bits.

A pair of one class is positive, a pair of two classes negative. A pair matches if its similarity is
greater than the threshold. FMR, the false match rate, is the share of negative pairs that match;
TMR, the true match rate, is the share of positive pairs that match: ISO/IEC 19795-1.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from evaluation.metrics.undefined import UndefinedError
from evaluation.search.pairs import Pairs

BITS = 16  # bits of a 32-bit similarity that one pass over the pairs counts
BINS = 2**BITS
BLOCK_PAIRS = 2**19  # pairs counted at a time on a CPU: they fit the cache
KINDS, RELATIONS = 2, 3  # negative and positive pairs, and those that count as neither
BYTES_PER_PAIR = 40  # that a pass allocates; the same in every pass, so that chunks are the same
Counts = Int[Tensor, " B"]
# whether a threshold is large enough, for the numbers of negative and of positive pairs above it
Condition = Callable[[Counts, Counts], Bool[Tensor, " B"]]


class PairCounts(NamedTuple):
    """Numbers of negative and of positive pairs."""

    negatives: int
    positives: int


NO_PAIRS = PairCounts(0, 0)


class OperatingPoint(NamedTuple):
    """Operating point: a threshold, and how many pairs of all are above it and equal to it."""

    threshold: float
    above: PairCounts
    equal: PairCounts
    total: PairCounts

    @property
    def fmr(self) -> float:
        """False match rate, the share of negative pairs above the threshold."""
        return self.above.negatives / self.total.negatives

    @property
    def tmr(self) -> float:
        """True match rate, the share of positive pairs above the threshold."""
        return self.above.positives / self.total.positives


class Histograms(NamedTuple):
    """Histograms of the leading 16 bits of the similarities of negative and positive pairs."""

    negatives: Counts
    positives: Counts

    @property
    def total(self) -> PairCounts:
        """Numbers of all pairs; a pair of two images that are both queries counts twice."""
        return PairCounts(int(self.negatives.sum()), int(self.positives.sum()))


def at_most_fmr(fmr: float, total: PairCounts) -> Condition:
    """Condition of the smallest threshold with at most this false match rate."""
    allowed = int(Fraction(str(fmr)) * total.negatives)  # 0.29 * 100 is 28.999... as a float
    return lambda negatives, _: negatives <= allowed


def at_most_fnmr(total: PairCounts) -> Condition:
    """Condition of the smallest threshold whose FMR is at most its false non-match rate 1 - TMR."""
    return lambda negatives, positives: (
        negatives.double() / total.negatives
        <= (total.positives - positives).double() / total.positives
    )


def find_operating_points(
    pairs: Pairs, coarse: Histograms, conditions: Sequence[Condition]
) -> list[OperatingPoint]:
    """The operating point at the smallest threshold that fulfils each condition.

    The thresholds are exact for the float32 similarities: `coarse` gives their leading 16 bits, one
    more pass over the pairs the trailing ones, and no list of pairs is stored. Every condition must
    hold for large thresholds, and not for the smallest.

    Args:
        coarse: of `leading_histograms(pairs)`.
    """
    leading = [first_bin(coarse, holds) for holds in conditions]
    bins = sorted(set(leading))
    fine = dict(zip(bins, trailing_histograms(pairs, bins), strict=True))
    points = []
    for high, holds in zip(leading, conditions, strict=True):
        before = PairCounts(*(int(counts[high + 1 :].sum()) for counts in coarse))
        low = first_bin(fine[high], holds, before)
        in_bin = (int(counts[low + 1 :].sum()) for counts in fine[high])
        above = PairCounts(*map(sum, zip(in_bin, before, strict=True)))
        equal = PairCounts(*(int(counts[low]) for counts in fine[high]))
        points.append(OperatingPoint(similarity_of(high, low), above, equal, coarse.total))
    return points


def first_bin(histograms: Histograms, holds: Condition, before: PairCounts = NO_PAIRS) -> int:
    """The first bin above which the condition holds; `before` pairs are above all bins."""
    above = (
        counts.flip(0).cumsum(dim=0).flip(0) - counts + more
        for counts, more in zip(histograms, before, strict=True)
    )
    return int(holds(*above).byte().argmax())


def leading_histograms(pairs: Pairs) -> Histograms:
    """Histograms of the leading 16 bits of the similarities.

    Raises:
        UndefinedError: there are no positive or no negative pairs.
    """
    histograms = Histograms(*pair_histograms(pairs)[0, :KINDS])
    negatives, positives = histograms.total
    if not negatives or not positives:
        raise UndefinedError(f"there are {positives} positive, {negatives} negative pairs")
    return histograms


def trailing_histograms(pairs: Pairs, leading: Sequence[int]) -> list[Histograms]:
    """Histograms of the trailing 16 bits of the pairs with each of these leading bits."""
    chosen = torch.tensor(leading, device=pairs.labels.device)
    return [Histograms(*counts[:KINDS]) for counts in pair_histograms(pairs, chosen)]


def pair_histograms(pairs: Pairs, leading: Counts | None = None) -> Int[Tensor, "L R B"]:
    """Histogram of the pairs of each relation by their leading bits, (1, 3, B).

    With `leading`, (L, 3, B) by the trailing bits of the pairs with each of these leading bits.
    """
    num = 1 if leading is None else len(leading)
    shape = (num, RELATIONS, BINS)
    place = torch.full((BINS,), -1, device=pairs.labels.device)
    if leading is not None:
        place[leading] = torch.arange(num, device=place.device)

    def histogram(similarities: Tensor, relations: Tensor) -> Tensor:
        bits = ordered_bits(similarities)
        high = (bits >> BITS) + BINS // 2
        relation_offset = relations.int() << BITS
        if leading is None:
            return torch.bincount(high + relation_offset, minlength=BINS * RELATIONS)
        places = place[high]
        chosen = places >= 0
        low = ((bits & (BINS - 1)) + relation_offset)[chosen]
        offset = places[chosen] * (BINS * RELATIONS)
        return torch.bincount(low + offset, minlength=num * BINS * RELATIONS)

    def in_blocks(similarities: Tensor, relations: Tensor) -> Tensor:
        size = BLOCK_PAIRS if similarities.device.type == "cpu" else similarities.numel()
        flat = (torch.split(pair.view(-1), size) for pair in (similarities, relations))
        return sum_histograms(histogram(*block) for block in zip(*flat, strict=True))

    def sum_histograms(parts: Iterable[Tensor]) -> Tensor:
        total = torch.zeros(shape, dtype=torch.int64, device=pairs.labels.device).view(-1)
        for part in parts:
            total += part
        return total

    return sum_histograms(pairs.each(in_blocks, extra=BYTES_PER_PAIR)).view(shape)


def ordered_bits(values: Tensor) -> Int[Tensor, "Q M"]:
    """The bits of float32 values as integers in the same order as the values."""
    bits = (values.float() + 0.0).view(torch.int32)  # -0 becomes 0
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def similarity_of(leading: int, trailing: int) -> float:
    """The float32 similarity with these leading and trailing bits: undoes `ordered_bits`."""
    bits = torch.tensor(((leading - BINS // 2) << BITS) + trailing, dtype=torch.int32)
    return float((bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(torch.float32))
