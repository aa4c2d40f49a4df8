"""The space in which neighbours are searched and clusters formed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from core.distance import precise
from core.types import Embeddings

Distance = Literal["cosine", "euclidean"]


def points_of(embeddings: Embeddings, distance: Distance) -> Embeddings:
    """Points whose Euclidean order of neighbours is the order under `distance`, in >= float32.

    Unit vectors for `cosine`. For `euclidean` the embeddings, moved to a mean of zero: no distance
    changes, and squared norms stay small enough to be subtracted from products without loss.
    """
    if distance == "cosine":
        return F.normalize(precise(embeddings), dim=1)
    if distance == "euclidean":
        return precise(embeddings) - precise(embeddings).mean(dim=0)
    raise ValueError(f"distance must be cosine or euclidean, got {distance!r}")


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
