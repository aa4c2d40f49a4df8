"""FNMR@FMR, false non-match rate at a false match rate: ISO/IEC 19795-1."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Annotated

import torch
from annotated_types import Ge, Le
from jaxtyping import Int
from torch import Tensor

from core.types import Scalar
from evaluation.metrics.undefined import UndefinedError
from evaluation.search.pairs import SELF, Pairs

BITS = 16  # bits of a 32-bit similarity that one pass over the pairs counts
BINS = 2**BITS
BLOCK_PAIRS = 2**19  # pairs counted at a time on a CPU: they fit the cache
Counts = Int[Tensor, " B"]


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
    negatives, positives = pair_histograms(pairs)
    num_negatives, num_positives = int(negatives.sum()), int(positives.sum())
    if not num_negatives or not num_positives:
        raise UndefinedError(f"there are {num_positives} positive, {num_negatives} negative pairs")
    allowed = int(Fraction(str(fmr)) * num_negatives)  # 0.29 * 100 is 28.999... as a float
    if allowed == num_negatives:
        return torch.zeros((), dtype=torch.float64, device=negatives.device)
    leading = threshold_bin(negatives, allowed)
    allowed -= int(negatives[leading + 1 :].sum())
    missed = positives[:leading].sum()
    negatives, positives = pair_histograms(pairs, leading)
    missed = missed + positives[: threshold_bin(negatives, allowed) + 1].sum()
    return missed.double() / num_positives


def pair_histograms(pairs: Pairs, leading: int | None = None) -> tuple[Counts, Counts]:
    """Histograms of the leading 16 bits of the similarities of negative and positive pairs.

    With `leading`, histograms of the trailing 16 bits of the pairs with these leading bits.
    """

    def histogram(similarities: Tensor, relations: Tensor) -> Tensor:
        bits = ordered_bits(similarities)
        high = (bits >> BITS) + BINS // 2
        relation_offset = relations.int() << BITS
        if leading is None:
            return torch.bincount(high + relation_offset, minlength=BINS * (SELF + 1))
        in_bin = high == leading
        return torch.bincount(
            (bits & (BINS - 1))[in_bin] + relation_offset[in_bin], minlength=BINS * (SELF + 1)
        )

    def in_blocks(similarities: Tensor, relations: Tensor) -> Tensor:
        size = BLOCK_PAIRS if similarities.device.type == "cpu" else similarities.numel()
        flat = (torch.split(pair.view(-1), size) for pair in (similarities, relations))
        return sum_histograms(histogram(*block) for block in zip(*flat, strict=True))

    def sum_histograms(parts: Iterable[Tensor]) -> Tensor:
        total = torch.zeros(BINS * (SELF + 1), dtype=torch.int64, device=pairs.labels.device)
        for part in parts:
            total += part
        return total

    negatives, positives, _ = sum_histograms(pairs.each(in_blocks, extra=40)).view(SELF + 1, BINS)
    return negatives, positives


def ordered_bits(values: Tensor) -> Int[Tensor, "Q M"]:
    """The bits of float32 values as integers in the same order as the values."""
    bits = (values.float() + 0.0).view(torch.int32)  # -0 becomes 0
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def threshold_bin(counts: Counts, larger: int) -> int:
    """The bin of the smallest value that at most `larger` values exceed."""
    from_above = counts.flip(0).cumsum(dim=0)
    return len(counts) - 1 - int((from_above <= larger).sum())
