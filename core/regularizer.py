"""Regularizers: penalties on embeddings or prototypes that do not depend on labels.

Each takes vectors (N, D) without normalizing them and returns its weight times its penalty, which
is added to a loss. All compute in at least float32.
"""

from typing import Annotated, Protocol, runtime_checkable

import torch
from annotated_types import Ge

from core.distance import safe_sqrt, to_float32
from core.kernels.l2_normalize import l2_normalize
from core.ranges import NonNegativeFloat, Size
from core.types import Embeddings, Scalar


@runtime_checkable
class Regularizer(Protocol):
    """A regularizer: takes vectors (N, D) and returns a penalty."""

    def __call__(self, vectors: Embeddings) -> Scalar: ...


class LpNorm:
    """Norm penalty: weight · mean over the vectors of ||x||_p ^ power.

    Args:
        weight: >= 0.
        p: order of the norm, >= 1.
        power: exponent of the norm; p=2, power=2 is the squared length.
    """

    def __init__(
        self, weight: NonNegativeFloat = 1.0, p: Annotated[float, Ge(1)] = 2, power: float = 1
    ) -> None:
        if p < 1:
            raise ValueError(f"p must be at least 1, got {p}")
        self.weight, self.p, self.power = weight, p, power

    def __call__(self, vectors: Embeddings) -> Scalar:
        with torch.autocast(vectors.device.type, enabled=False):
            x = to_float32(vectors)
            if self.p == 2:
                squared = x.square().sum(dim=1)
                norms = squared if self.power == 2 else safe_sqrt(squared) ** self.power
            else:
                norms = torch.linalg.vector_norm(x, ord=self.p, dim=1) ** self.power
            return self.weight * norms.mean()


class ZeroMean:
    """Zero-mean penalty: weight · mean over the vectors of |Σ_d x_d|, the sum of the entries.

    Yuan et al., Signal-to-Noise Ratio, CVPR 2019, https://arxiv.org/abs/1904.02616.

    Args:
        weight: >= 0.
    """

    def __init__(self, weight: NonNegativeFloat = 1.0) -> None:
        self.weight = weight

    def __call__(self, vectors: Embeddings) -> Scalar:
        with torch.autocast(vectors.device.type, enabled=False):
            return self.weight * to_float32(vectors).sum(dim=1).abs().mean()


class RegularFace:
    """RegularFace: weight · mean over the prototypes of the cosine with the closest other one.

    Zhao et al., CVPR 2019, https://kaizhao.net/regularface. It is 0 for a single prototype. The
    cosines of all pairs are computed without a gradient, in O(C²) memory.

    Args:
        weight: >= 0.
    """

    def __init__(self, weight: NonNegativeFloat = 1.0) -> None:
        self.weight = weight

    def __call__(self, vectors: Embeddings) -> Scalar:
        with torch.autocast(vectors.device.type, enabled=False):
            x = l2_normalize(to_float32(vectors))
            if len(x) == 1:
                return 0 * x.sum()
            with torch.no_grad():
                closest = (x @ x.T).fill_diagonal_(-torch.inf).argmax(dim=1)
            return self.weight * (x * x[closest]).sum(dim=1).mean()


class CenterInvariant:
    """Center-invariant penalty: weight · mean over the prototypes w of (|w|² - mean |w|²)² / 4.

    Wu et al., Deep Face Recognition with Center Invariant Loss, ACM Multimedia Workshops 2017.

    Args:
        weight: >= 0.
    """

    def __init__(self, weight: NonNegativeFloat = 1.0) -> None:
        self.weight = weight

    def __call__(self, vectors: Embeddings) -> Scalar:
        with torch.autocast(vectors.device.type, enabled=False):
            squared = to_float32(vectors).square().sum(dim=1)
            return self.weight * ((squared - squared.mean()).square() / 4).mean()


class SparseCenters:
    """Sparse-centers penalty: weight · Σ_c Σ_{s<t} |w_cs - w_ct| / (C K (K - 1)), unit vectors w.

    This is half the mean over the pairs of the K centers of a class; it merges centers that a class
    does not need. K = 1 gives 0. Qian et al., SoftTriple, ICCV 2019,
    https://arxiv.org/abs/1909.05235.

    Args:
        num_sub_centers: K; rows c K to (c + 1) K - 1 belong to class c.
        weight: τ >= 0.
    """

    def __init__(self, num_sub_centers: Size, weight: NonNegativeFloat = 1.0) -> None:
        if num_sub_centers < 1:
            raise ValueError(f"num_sub_centers must be at least 1, got {num_sub_centers}")
        self.num_sub_centers, self.weight = num_sub_centers, weight

    def __call__(self, vectors: Embeddings) -> Scalar:
        k = self.num_sub_centers
        with torch.autocast(vectors.device.type, enabled=False):
            x = l2_normalize(to_float32(vectors)).reshape(-1, k, vectors.shape[1])
            squared = (2 - 2 * (x @ x.transpose(1, 2))).clamp(min=0).triu(diagonal=1)
            return self.weight * safe_sqrt(squared).sum() / (len(x) * max(k * (k - 1), 1))
