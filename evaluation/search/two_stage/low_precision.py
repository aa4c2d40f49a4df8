"""Similarities in low precision, each with a proven bound of its error.

A query x orders gallery points y by x·y - h, h being 0 or in Euclidean search |y|²/2, of the
points as they are. A product computes this similarity from rounded x', y' and h':

    |(x·y - h) - (x'·y' - h')| <= |x - x'| |y| + |x'| |y - y'| + |h - h'|     (Cauchy and Schwarz)

to which the product adds at most 2 K u (|x'| |y'| + 2 h) for its K additions, u = 2^-24 because
bfloat16 and float32 products both add in float32, and half a unit in the last place of its result.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from core.types import Embeddings
from evaluation.search.space import Distance

ADDITION_ERROR = 2.0**-23  # 2 u
NUM_PARTS = 3  # numbers that h is split into; three of bfloat16 have the digits of a float32

Bits = NDArray[Any]  # the bits of floating point numbers: int16 of bfloat16, int32 of float32

Float32 = np.float32 | float  # a float32 in compiled code


class RoundedPoints(NamedTuple):
    """Points in low precision and what the bound asks of them; lengths in float64."""

    low: Embeddings
    norm: Float[Tensor, " N"]  # |x|
    rounded_norm: Float[Tensor, " N"]  # |x'|
    rounding_error: Float[Tensor, " N"]  # |x - x'|


def round_points(points: Embeddings, precision: torch.dtype) -> RoundedPoints:
    """Points rounded to `precision`, bfloat16 or float32."""
    low = points.to(precision)
    exact, kept = points.double(), low.double()
    norm, rounded_norm, rounding_error = (
        torch.linalg.vector_norm(vectors, dim=1) for vectors in (exact, kept, exact - kept)
    )
    return RoundedPoints(low, norm, rounded_norm, rounding_error)


class Bound(NamedTuple):
    """A similarity s of query q in low precision holds the true one, plus shift[q], within
    error[q] + relative · |s|.
    """

    error: NDArray[np.float64]  # (Q,)
    shift: NDArray[np.float64]  # (Q,), |x|²/2 in Euclidean search: x·y - h = |x|²/2 - |x - y|²/2
    relative: float


class LowPrecisionProduct:
    """The similarities of queries to a gallery in low precision, and the bound of their error."""

    def __init__(self, queries: RoundedPoints, gallery: RoundedPoints, distance: Distance) -> None:
        self.queries, self.gallery = queries.low, gallery.low  # (Q, K) and (M, K)
        error = (
            queries.rounding_error * gallery.norm.max()
            + queries.rounded_norm * gallery.rounding_error.max()
        )
        terms = queries.rounded_norm * gallery.rounded_norm.max()
        shift = torch.zeros_like(error)
        if distance == "euclidean":
            offset, shift = gallery.norm.square() / 2, queries.norm.square() / 2
            parts = split_into_parts(offset, self.gallery.dtype)
            ones = self.queries.new_ones(len(self.queries), NUM_PARTS)
            self.queries = torch.cat([self.queries, ones], dim=1)
            self.gallery = torch.cat([self.gallery, -parts], dim=1)
            error = error + (offset - parts.double().sum(dim=1)).abs().max()
            terms = terms + 2 * offset.max()
        error = error + ADDITION_ERROR * (self.gallery.shape[1] + 1) * terms
        relative = torch.finfo(self.gallery.dtype).eps / 2
        self.bound = Bound(error.numpy(), shift.numpy(), relative)

    def similarity_bits(self, queries: Tensor, out: Tensor) -> Bits:
        """The bits of the similarities (Q, M) of the chosen queries, computed in `out`."""
        torch.mm(self.queries[queries], self.gallery.T, out=out)
        as_integer = torch.int16 if out.dtype == torch.bfloat16 else torch.int32
        bits: Bits = out.view(as_integer).numpy()
        return bits


def products(
    queries: Embeddings,
    gallery: Embeddings,
    distance: Distance,
    precisions: Sequence[torch.dtype],
) -> list[Callable[[], LowPrecisionProduct]]:
    """The product of each precision, made when it is called."""

    def product(precision: torch.dtype) -> LowPrecisionProduct:
        rounded_gallery = round_points(gallery, precision)
        rounded_queries = (
            rounded_gallery if queries is gallery else round_points(queries, precision)
        )
        return LowPrecisionProduct(rounded_queries, rounded_gallery, distance)

    return [partial(product, precision) for precision in precisions]


def split_into_parts(numbers: Float[Tensor, " M"], precision: torch.dtype) -> Float[Tensor, "M P"]:
    """Numbers of low precision that nearly add up to each of the given ones."""
    parts: list[Tensor] = []
    for _ in range(NUM_PARTS):
        parts.append(numbers.to(precision))
        numbers = numbers - parts[-1].double()
    return torch.stack(parts, dim=1)


@numba.njit(nogil=True, cache=True)
def lower_limit(exact: float, query: int, bound: Bound) -> Float32:
    """A similarity in low precision below this means that the true one is less than `exact`."""
    low = exact + bound.shift[query] - bound.error[query]
    low /= 1 + bound.relative if low > 0 else 1 - bound.relative
    limit: Float32 = np.nextafter(np.float32(low), np.float32(-np.inf))
    return limit


@numba.njit(nogil=True, cache=True)
def upper_limit(exact: float, query: int, bound: Bound) -> Float32:
    """A similarity in low precision above this means that the true one is more than `exact`."""
    high = exact + bound.shift[query] + bound.error[query]
    high /= 1 - bound.relative if high > 0 else 1 + bound.relative
    limit: Float32 = np.nextafter(np.float32(high), np.float32(np.inf))
    return limit


@numba.njit(nogil=True, cache=True)
def bits_to_float(code: int, shift: int) -> Float32:
    """The number whose bits are `code`; `shift` is 16 for bfloat16, 0 for float32."""
    return np.int32(np.int32(code) << np.int32(shift)).view(np.float32)


@numba.njit(nogil=True, cache=True)
def float_to_bits(value: Float32, shift: int) -> int:
    """The bits of a number, rounded towards zero to bfloat16 where `shift` is 16."""
    return int(np.float32(value).view(np.int32)) >> shift


@numba.njit(nogil=True, cache=True)
def lowest_bits(value: Float32, shift: int) -> int:
    """Every code of a number at least `value` is at least the result.

    The bits of negative numbers run backwards: a limit that is not positive lets all codes pass.
    """
    return float_to_bits(value, shift) if value > 0 else -(2**31) >> shift


@numba.njit(nogil=True, cache=True)
def any_at_least(bits: Bits, limit: int) -> bool:
    """Whether any code reaches the limit; vector instructions compare many codes at once."""
    largest = bits[0]
    for i in range(len(bits)):
        largest = max(largest, bits[i])
    return bool(largest >= limit)
