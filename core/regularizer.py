"""Exchangeable regularizers: a penalty on embeddings or prototypes that names no labels.

Each is called with vectors (N, D) as they are, not normalised, and returns its weight times its
penalty, to be added to a loss. All compute in at least float32.
"""

from typing import Protocol, runtime_checkable

import torch

from core.distance import precise, safe_sqrt
from core.types import Embeddings, Scalar


@runtime_checkable
class Regularizer(Protocol):
    """A penalty on a set of vectors (N, D)."""

    def __call__(self, vectors: Embeddings) -> Scalar: ...


class LpNorm:
    """weight · mean over the vectors of ||x||_p ^ power.

    Args:
        weight: >= 0.
        p: order of the norm, >= 1.
        power: exponent of the norm; p=2, power=2 is the squared length.
    """

    def __init__(self, weight: float = 1.0, p: float = 2, power: float = 1) -> None:
        if p < 1:
            raise ValueError(f"p must be at least 1, got {p}")
        self.weight, self.p, self.power = weight, p, power

    def __call__(self, vectors: Embeddings) -> Scalar:
        with torch.autocast(vectors.device.type, enabled=False):
            x = precise(vectors)
            if self.p == 2:
                squared = x.square().sum(dim=1)
                norms = squared if self.power == 2 else safe_sqrt(squared) ** self.power
            else:
                norms = torch.linalg.vector_norm(x, ord=self.p, dim=1) ** self.power
            return self.weight * norms.mean()


class ZeroMean:
    """weight · mean over the vectors of |Σ_d x_d|: each vector's entries should sum to zero.

    Yuan et al., Signal-to-Noise Ratio, CVPR 2019, https://arxiv.org/abs/1904.02616.

    Args:
        weight: >= 0.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(self, vectors: Embeddings) -> Scalar:
        with torch.autocast(vectors.device.type, enabled=False):
            return self.weight * precise(vectors).sum(dim=1).abs().mean()
