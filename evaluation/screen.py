"""Similarities in low precision, each with a proven bound on how wrong it can be.

A query x orders gallery points y by x·y - h, h being 0 or in Euclidean search |y|²/2, of the
points as they are. A screen computes this similarity from rounded x', y' and h':

    |(x·y - h) - (x'·y' - h')| <= |x - x'| |y| + |x'| |y - y'| + |h - h'|     (Cauchy and Schwarz)

to which the product adds at most 2 K u (|x'| |y'| + 2 h) for its K additions, u = 2^-24 because
bfloat16 and float32 products both add in float32, and half a unit in the last place of its result.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from core.types import Embeddings
from evaluation.exact import Places, Reals
from evaluation.space import Distance

ADDITION = 2.0**-23  # 2 u
PARTS = 3  # numbers that h is split into; three of bfloat16 have the digits of a float32

Floats = NDArray[np.float32]


class Rounded(NamedTuple):
    """Points in low precision and what the bound asks of them; lengths in float64."""

    low: Embeddings
    length: Float[Tensor, " N"]  # |x|
    low_length: Float[Tensor, " N"]  # |x'|
    lost: Float[Tensor, " N"]  # |x - x'|


def rounded(points: Embeddings, precision: torch.dtype) -> Rounded:
    """Round to `precision`, bfloat16 or float32."""
    low = points.to(precision)
    exact, kept = points.double(), low.double()
    length, low_length, lost = (
        torch.linalg.vector_norm(vectors, dim=1) for vectors in (exact, kept, exact - kept)
    )
    return Rounded(low, length, low_length, lost)


class Screen:
    """`value ± (error + relative * |value|)` holds the true similarity."""

    def __init__(self, queries: Rounded, gallery: Rounded, distance: Distance) -> None:
        self.queries, self.gallery = queries.low, gallery.low  # (Q, K) and (M, K)
        self.relative = torch.finfo(self.gallery.dtype).eps / 2
        error = queries.lost * gallery.length.max() + queries.low_length * gallery.lost.max()
        terms = queries.low_length * gallery.low_length.max()
        shift = torch.zeros_like(error)
        if distance == "euclidean":
            offset, shift = gallery.length.square() / 2, queries.length.square() / 2
            parts = split(offset, self.gallery.dtype)
            ones = self.queries.new_ones(len(self.queries), PARTS)
            self.queries = torch.cat([self.queries, ones], dim=1)
            self.gallery = torch.cat([self.gallery, -parts], dim=1)
            error = error + (offset - parts.double().sum(dim=1)).abs().max()
            terms = terms + 2 * offset.max()
        error = error + ADDITION * (self.gallery.shape[1] + 1) * terms
        self.error, self.shift = error.numpy(), shift.numpy()  # |x|²/2: x·y - h = |x|²/2 - |x-y|²/2

    def similarities(self, queries: Tensor, out: Tensor) -> Tensor:
        return torch.mm(self.queries[queries], self.gallery.T, out=out)

    def limits(self, truth: Reals, queries: Places) -> tuple[Floats, Floats]:
        """Values below the first mean less than `truth`, values above the second mean more.

        Args:
            truth: similarities from `evaluation.exact`, one for each of `queries`.
        """
        truth = truth + self.shift[queries]
        low, high = truth - self.error[queries], truth + self.error[queries]
        low /= np.where(low > 0, 1 + self.relative, 1 - self.relative)
        high /= np.where(high > 0, 1 - self.relative, 1 + self.relative)
        down = np.nextafter(low.astype(np.float32), np.float32(-np.inf))
        return down, np.nextafter(high.astype(np.float32), np.float32(np.inf))

    def rivals(self, best: Floats, queries: Places) -> Floats:
        """Values below the result are truly less than what has the value `best`."""
        at_least = best - self.error[queries] - self.relative * np.abs(best)
        return self.limits(at_least - self.shift[queries], queries)[0]


def screen_of(
    queries: Embeddings, gallery: Embeddings, distance: Distance, precision: torch.dtype
) -> Screen:
    """What to search with first."""
    low = rounded(gallery, precision)
    return Screen(low if queries is gallery else rounded(queries, precision), low, distance)


def split(numbers: Float[Tensor, " M"], precision: torch.dtype) -> Float[Tensor, "M P"]:
    """Numbers of low precision that nearly add up to each of the given ones."""
    parts: list[Tensor] = []
    for _ in range(PARTS):
        parts.append(numbers.to(precision))
        numbers = numbers - parts[-1].double()
    return torch.stack(parts, dim=1)


def bits(similarity: Tensor) -> NDArray[np.int16]:
    """The bits of bfloat16 numbers: in the order of the numbers where these are positive."""
    return similarity.view(torch.int16).numpy()


def truncated(numbers: Floats) -> NDArray[np.int16]:
    """The bits of the numbers as bfloat16, rounded towards zero."""
    return (numbers.view(np.int32) >> 16).astype(np.int16)


def numbers(bits: NDArray[np.int16]) -> Floats:
    """The bfloat16 numbers of the given bits."""
    return (bits.astype(np.int32) << 16).view(np.float32)
