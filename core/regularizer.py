"""Regularizers: penalties on embeddings or prototypes that do not depend on labels.

Each takes vectors (N, D) without normalizing them and returns its weight times its penalty, which
is added to a loss. All compute in at least float32. Those that compare the vectors with one another
take a `distance`; the others measure each vector by itself.
"""

from typing import Annotated, Protocol, runtime_checkable

import torch
from annotated_types import Ge

from core.distance import safe_sqrt, to_float32
from core.kernels.l2_normalize import l2_normalize
from core.ranges import NonNegativeFloat, Size
from core.types import Distance, Embeddings, Scalar, Similarities

BLOCK = 1024  # centers that are compared at once


@runtime_checkable
class Regularizer(Protocol):
    """A regularizer: takes vectors (N, D) and returns a penalty."""

    def __call__(self, vectors: Embeddings) -> Scalar: ...


class LpNorm:
    """Norm penalty: weight · mean over the vectors of ||x||_p ^ power.

    It takes no `distance`: p and power choose the norm.

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

    Yuan et al., Signal-to-Noise Ratio, CVPR 2019, https://arxiv.org/abs/1904.02616. It takes no
    `distance`: no two vectors are compared.

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

    Zhao et al., CVPR 2019, https://kaizhao.net/regularface. It is 0 for a single prototype. It
    takes O(C²) memory; the cosines of all pairs are computed without a gradient.

    Args:
        weight: >= 0.
        distance: gives the similarity; None is the cosine.
    """

    def __init__(self, weight: NonNegativeFloat = 1.0, distance: Distance | None = None) -> None:
        self.weight, self.distance = weight, distance

    def __call__(self, vectors: Embeddings) -> Scalar:
        with torch.autocast(vectors.device.type, enabled=False):
            x = to_float32(vectors)
            if len(x) == 1:
                return 0 * l2_normalize(x).sum()
            if self.distance is None:
                return self.weight * cosine_with_closest(x).mean()
            similarities = self.distance.similarity(x)
            diagonal = torch.eye(len(x), dtype=torch.bool, device=x.device)
            return self.weight * similarities.masked_fill(diagonal, -torch.inf).amax(dim=1).mean()


def cosine_with_closest(vectors: Embeddings) -> Similarities:
    """Cosine of each vector with the closest other one, (N,); only these N have a gradient."""
    x = l2_normalize(vectors)
    with torch.no_grad():
        closest = (x @ x.T).fill_diagonal_(-torch.inf).argmax(dim=1)
    return (x * x[closest]).sum(dim=1)


class CenterInvariant:
    """Center-invariant penalty: weight · mean over the prototypes w of (|w|² - mean |w|²)² / 4.

    Wu et al., Deep Face Recognition with Center Invariant Loss, ACM Multimedia Workshops 2017. It
    takes no `distance`: it compares lengths.

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
        distance: replaces |w_cs - w_ct|, by the mean of both directions if these differ; None is
            the Euclidean distance of unit vectors.
    """

    def __init__(
        self,
        num_sub_centers: Size,
        weight: NonNegativeFloat = 1.0,
        distance: Distance | None = None,
    ) -> None:
        if num_sub_centers < 1:
            raise ValueError(f"num_sub_centers must be at least 1, got {num_sub_centers}")
        self.num_sub_centers, self.weight, self.distance = num_sub_centers, weight, distance

    def __call__(self, vectors: Embeddings) -> Scalar:
        k = self.num_sub_centers
        with torch.autocast(vectors.device.type, enabled=False):
            x = to_float32(vectors)
            if self.distance is None:
                total = sum_within_classes(x, k)
            else:
                size = max(1, BLOCK // k) * k  # rows of whole classes
                blocks = (x[first : first + size] for first in range(0, len(x), size))
                sums = [sum_of_own_distances(block, k, self.distance) for block in blocks]
                total = torch.stack(sums).sum()
            return self.weight * total / (len(x) // k * max(k * (k - 1), 1))


def sum_within_classes(centers: Embeddings, k: int) -> Scalar:
    """Sum of the Euclidean distances between the unit vectors of the K centers of each class."""
    x = l2_normalize(centers).reshape(-1, k, centers.shape[1])
    squared = (2 - 2 * (x @ x.transpose(1, 2))).clamp(min=0).triu(diagonal=1)
    return safe_sqrt(squared).sum()


def sum_of_own_distances(centers: Embeddings, k: int, distance: Distance) -> Scalar:
    """The same for any distance; it computes those between classes, too. O((C K)²) memory."""
    classes = len(centers) // k
    every = distance(centers).reshape(classes, k, classes, k)
    own = every.diagonal(dim1=0, dim2=2).movedim(2, 0)  # (C, K, K)
    both_directions: Scalar = own.triu(diagonal=1).sum() + own.tril(diagonal=-1).sum()
    return both_directions / 2
