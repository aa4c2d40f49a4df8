"""The space in which neighbours are searched and clusters formed."""

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

ORDINARY = 40  # powers of two around 1, of which squares and their sums are far from every limit


def normalize_for_search(embeddings: Embeddings, distance: Distance) -> Embeddings:
    """Points whose Euclidean order of neighbours is the order under `distance`, in >= float32.

    Unit vectors for `cosine`. For `euclidean` the embeddings, moved to a mean of zero: no distance
    changes, and squared norms stay small enough to be subtracted from products without loss. If
    the largest entry is no ordinary number, they are divided by `unit_of_length` first, because
    their squares would overflow or vanish.
    """
    if distance == "cosine":
        return l2_normalize(to_float32(embeddings))
    if distance == "euclidean":
        points = to_float32(embeddings) / unit_of_length(embeddings)
        return points - points.mean(dim=0)
    raise ValueError(f"distance must be cosine or euclidean, got {distance!r}")


def unit_of_length(embeddings: Embeddings) -> Tensor:
    """What a distance of 1 between the Euclidean points is in the embeddings: a power of two, ().

    It is 1 unless the largest entry is beyond 2^±40; division by it loses nothing.
    """
    entries = to_float32(embeddings)
    exponent = torch.frexp(entries.abs().amax()).exponent
    lowest = math.frexp(torch.finfo(entries.dtype).tiny)[1]
    power = exponent.clamp(lowest, -lowest).masked_fill(exponent.abs() <= ORDINARY, 0)
    return torch.ldexp(entries.new_ones(()), power)


def half_squared_norms(points: Embeddings) -> Tensor:
    """|y|²/2 of each point: x·y - |y|²/2 orders the y by their distance to x, nearest first."""
    return points.square().sum(dim=1) / 2


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Matrix products in true float32, whatever the training chose: no autocast, no TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
