"""Search space: normalises embeddings for search and clustering."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from core.distance import to_float32
from core.kernels.l2_normalize import l2_normalize
from core.types import Embeddings

Distance = Literal["cosine", "euclidean"]

SAFE_EXPONENT = 40  # squares of values up to 2^±40 neither overflow nor underflow, nor their sums


def normalize_for_search(embeddings: Embeddings, distance: Distance) -> Embeddings:
    """Normalise embeddings: points whose Euclidean neighbours are those under `distance`.

    For `cosine` the points are unit vectors. For `euclidean` they are the embeddings minus their
    mean, which keeps all distances and makes the squared norms small, so that rounding loses less.
    If the largest entry is above 2^40 or below 2^-40, the embeddings are divided by
    `unit_of_length` first, because their squares could overflow or underflow. The points are at
    least float32.
    """
    if distance == "cosine":
        return l2_normalize(to_float32(embeddings))
    if distance == "euclidean":
        points = to_float32(embeddings) / unit_of_length(embeddings)
        return points - points.mean(dim=0)
    raise ValueError(f"distance must be cosine or euclidean, got {distance!r}")


def unit_of_length(embeddings: Embeddings) -> Tensor:
    """Unit of length: distance of the embeddings per distance of the Euclidean points, shape ().

    It is a power of two, so that the division is exact, and 1 unless the largest entry is outside
    2^-40..2^40.
    """
    entries = to_float32(embeddings)
    exponent = torch.frexp(entries.abs().amax()).exponent
    lowest = math.frexp(torch.finfo(entries.dtype).tiny)[1]
    power = exponent.clamp(lowest, -lowest).masked_fill(exponent.abs() <= SAFE_EXPONENT, 0)
    return torch.ldexp(entries.new_ones(()), power)


def half_squared_norms(points: Embeddings) -> Tensor:
    """Half squared norms |y|²/2: x·y - |y|²/2 is largest for the y nearest to x."""
    return points.square().sum(dim=1) / 2


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute matrix products in full float32, without autocast and TF32, in this context."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
