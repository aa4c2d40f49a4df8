"""Low-precision product: similarities in bfloat16 or float32 with a proven error bound.

The similarity of a query x and a gallery point y is x·y - h, where h is |y|²/2 in Euclidean search
and 0 otherwise. The product computes it from rounded x', y' and h':

    |(x·y - h) - (x'·y' - h')| <= |x - x'| |y| + |x'| |y - y'| + |h - h'|     (Cauchy and Schwarz)

The K additions of the product add an error of at most 2 K u (|x'| |y'| + 2 h), with u = 2^-24
because products of bfloat16 and of float32 are both accumulated in float32. The rounding of the
result adds half a unit in the last place.
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
NUM_PARTS = 3  # terms that h is split into; three bfloat16 numbers have the digits of a float32

Bits = NDArray[Any]  # the bits of floating-point numbers: int16 for bfloat16, int32 for float32

Float32 = np.float32 | float  # a float32 in compiled code


class RoundedPoints(NamedTuple):
    """Rounded points: points in low precision, and the float64 norms that the bound uses."""

    low: Embeddings
    norm: Float[Tensor, " N"]  # |x|
    rounded_norm: Float[Tensor, " N"]  # |x'|
    rounding_error: Float[Tensor, " N"]  # |x - x'|


def round_points(points: Embeddings, precision: torch.dtype) -> RoundedPoints:
    """Round points to `precision`, bfloat16 or float32."""
    low = points.to(precision)
    exact, rounded = points.double(), low.double()
    norm, rounded_norm, rounding_error = (
        torch.linalg.vector_norm(vectors, dim=1) for vectors in (exact, rounded, exact - rounded)
    )
    return RoundedPoints(low, norm, rounded_norm, rounding_error)


class Bound(NamedTuple):
    """Error bound: |s - (exact + shift[q])| <= error[q] + relative · |s| for query q.

    s is the similarity in low precision, `exact` the similarity in float64.
    """

    error: NDArray[np.float64]  # (Q,)
    shift: NDArray[np.float64]  # (Q,), |x|²/2 in Euclidean search: x·y - h = |x|²/2 - |x - y|²/2
    relative: float


class LowPrecisionProduct:
    """Low-precision product: similarities of queries and gallery with an error bound."""

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
        """Bits of the similarities (Q, M) of the selected queries, computed in `out`."""
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
    """One function per precision that makes the product of queries and gallery."""

    def product(precision: torch.dtype) -> LowPrecisionProduct:
        rounded_gallery = round_points(gallery, precision)
        rounded_queries = (
            rounded_gallery if queries is gallery else round_points(queries, precision)
        )
        return LowPrecisionProduct(rounded_queries, rounded_gallery, distance)

    return [partial(product, precision) for precision in precisions]


def split_into_parts(numbers: Float[Tensor, " M"], precision: torch.dtype) -> Float[Tensor, "M P"]:
    """Split each number into low-precision terms whose sum approximates it."""
    parts: list[Tensor] = []
    for _ in range(NUM_PARTS):
        parts.append(numbers.to(precision))
        numbers = numbers - parts[-1].double()
    return torch.stack(parts, dim=1)


@numba.njit(nogil=True, cache=True)
def lower_limit(exact: float, query: int, bound: Bound) -> Float32:
    """Lower limit: a low-precision similarity below it belongs to an exact one below `exact`."""
    low = exact + bound.shift[query] - bound.error[query]
    low /= 1 + bound.relative if low > 0 else 1 - bound.relative
    limit: Float32 = np.nextafter(np.float32(low), np.float32(-np.inf))
    return limit


@numba.njit(nogil=True, cache=True)
def upper_limit(exact: float, query: int, bound: Bound) -> Float32:
    """Upper limit: a low-precision similarity above it belongs to an exact one above `exact`."""
    high = exact + bound.shift[query] + bound.error[query]
    high /= 1 - bound.relative if high > 0 else 1 + bound.relative
    limit: Float32 = np.nextafter(np.float32(high), np.float32(np.inf))
    return limit


@numba.njit(nogil=True, cache=True)
def bits_to_float(bits: int, shift: int) -> Float32:
    """The number with these bits; `shift` is 16 for bfloat16 and 0 for float32."""
    return np.int32(np.int32(bits) << np.int32(shift)).view(np.float32)


@numba.njit(nogil=True, cache=True)
def float_to_bits(value: Float32, shift: int) -> int:
    """The bits of a number, truncated to bfloat16 if `shift` is 16."""
    return int(np.float32(value).view(np.int32)) >> shift


@numba.njit(nogil=True, cache=True)
def lowest_bits(value: Float32, shift: int) -> int:
    """Lower bound of the bits of all numbers that are at least `value`.

    The bits of negative numbers are in descending order: if `value` is not positive, the result is
    the smallest integer.
    """
    return float_to_bits(value, shift) if value > 0 else -(2**31) >> shift


@numba.njit(nogil=True, cache=True)
def any_at_least(bits: Bits, limit: int) -> bool:
    """Whether any of the bits, as an integer, is at least the limit; compiles to SIMD code."""
    largest = bits[0]
    for i in range(len(bits)):
        largest = max(largest, bits[i])
    return bool(largest >= limit)
