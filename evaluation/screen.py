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
from evaluation.space import Distance, half_squared_norms

ADDITION = 2.0**-23  # 2 u
PARTS = 3  # numbers that h is split into; three of bfloat16 have the digits of a float32

Floats = NDArray[np.float32]


class Screen(NamedTuple):
    """`value ± (error + relative * |value|)` holds the true similarity."""

    queries: Tensor  # (Q, K) in low precision
    gallery: Tensor  # (M, K); K is D, and the parts of h
    error: Float[Tensor, " Q"]  # float64
    relative: float
    shift: Float[Tensor, " Q"]  # |x|²/2 in Euclidean search, from -|x - y|²/2 to x·y - |y|²/2

    def similarities(self, queries: Tensor, out: Tensor) -> Tensor:
        return torch.mm(self.queries[queries], self.gallery.T, out=out)

    def limits(self, truth: Reals, queries: Places) -> tuple[Floats, Floats]:
        """Values below the first mean less than `truth`, values above the second mean more.

        Args:
            truth: similarities from `evaluation.exact`, one for each of `queries`.
        """
        error, truth = self.error.numpy()[queries], truth + self.shift.numpy()[queries]
        low, high = truth - error, truth + error
        low /= np.where(low > 0, 1 + self.relative, 1 - self.relative)
        high /= np.where(high > 0, 1 - self.relative, 1 + self.relative)
        down = np.nextafter(low.astype(np.float32), np.float32(-np.inf))
        return down, np.nextafter(high.astype(np.float32), np.float32(np.inf))


def screen(
    queries: Embeddings, gallery: Embeddings, distance: Distance, precision: torch.dtype
) -> Screen:
    """Round the points to `precision`, bfloat16 or float32."""
    low_queries, low_gallery = queries.to(precision), gallery.to(precision)
    query_norm = norms(low_queries)
    sum_of_terms = query_norm * norms(low_gallery).max()
    error = norms(queries, low_queries) * norms(gallery).max()
    error += query_norm * norms(gallery, low_gallery).max()
    shift = torch.zeros_like(query_norm)
    if distance == "euclidean":
        shift, offset = (half_squared_norms(points.double()) for points in (queries, gallery))
        parts = split(offset, precision)
        low_gallery = torch.cat([low_gallery, -parts], dim=1)
        low_queries = torch.cat([low_queries, low_queries.new_ones(len(queries), PARTS)], dim=1)
        error += (offset - parts.double().sum(dim=1)).abs().max()
        sum_of_terms += 2 * offset.max()
    error += ADDITION * (low_gallery.shape[1] + 1) * sum_of_terms
    return Screen(low_queries, low_gallery, error, torch.finfo(precision).eps / 2, shift)


def norms(points: Tensor, rounded: Tensor | None = None) -> Float[Tensor, " N"]:
    """Length of each point in float64, or of what rounding took from it."""
    lost = points.double() if rounded is None else points.double() - rounded.double()
    lengths: Tensor = torch.linalg.vector_norm(lost, dim=1)
    return lengths


def split(numbers: Float[Tensor, " M"], precision: torch.dtype) -> Float[Tensor, "M P"]:
    """Numbers of low precision that nearly add up to each of the given ones."""
    parts: list[Tensor] = []
    for _ in range(PARTS):
        parts.append(numbers.to(precision))
        numbers = numbers - parts[-1].double()
    return torch.stack(parts, dim=1)
