"""Distances between embeddings, from which the losses over tuples and the miners choose one.

A call returns distances (smaller is closer) and `similarity` similarities (larger is closer), so
that no loss has to ask for the direction. All compute in at least float32, and in the wider type of
embeddings and references if these differ. Equal rows have a distance of exactly 0, except under
`DotProduct`, which is not a metric. Rows of any length can be normalized; a row of zeros stays
zero and has a gradient of zero. A distance whose similarities have bounds states them as
`similarity_range`, the least and the greatest one.
"""

import math
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from core.kernels.equal_rows import rows_differ
from core.kernels.euclidean import euclidean, squared_euclidean
from core.kernels.l2_normalize import l2_normalize
from core.types import Distance, Distances, Embeddings, References, Similarities


def to_float32(embeddings: Tensor) -> Tensor:
    """Embeddings in at least float32: half precision is for the backbone, not for distances."""
    return embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))


def to_common_type(embeddings: Tensor, references: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Embeddings and references in the wider of their types, at least float32.

    Both are contiguous, because the order of a sum depends on the memory layout: the lengths of
    equal rows would differ in the last digit.
    """
    x = to_float32(embeddings)
    if references is None:
        return x.contiguous(), None
    wider = torch.promote_types(x.dtype, references.dtype)
    return x.to(wider).contiguous(), references.to(wider).contiguous()


class Lp:
    """Lp distance: d(x, y) = ||x - y||_p ^ power, by default Euclidean of unit vectors.

    The similarity is -d. In float32, an offset that all rows share, up to 1000 times their spread,
    changes a distance of the order of the spread by less than 1e-5 of it. For p = 2 the squared
    distance is accurate to about 1e-6 of the squared spread, so that distances below 1e-3 of the
    spread are inaccurate.

    Differences:
        pytorch-metric-learning: vectors are scaled to unit p-norm, here to unit Euclidean length
            for every p; the same at p = 2.

    Args:
        p: order of the norm, >= 1.
        power: exponent of the distance; p=2, power=2 is the squared Euclidean distance.
        normalize: whether to scale the vectors to length one first.
    """

    def __init__(
        self, p: Annotated[float, Ge(1)] = 2, power: float = 1, normalize: bool = True
    ) -> None:
        if p < 1:
            raise ValueError(f"p must be at least 1, got {p}")
        self.p, self.power, self.normalize = p, power, normalize

    @property
    def similarity_range(self) -> tuple[float, float]:
        """-2^power and 0; without bound for p < 2 and for vectors of any length."""
        bounded = self.normalize and self.p >= 2
        return -(2.0**self.power) if bounded else -math.inf, 0.0

    def __call__(self, embeddings: Embeddings, references: References | None = None) -> Distances:
        with torch.autocast(embeddings.device.type, enabled=False):
            x, y = to_common_type(embeddings, references)
            if self.normalize:
                x, y = l2_normalize(x), None if y is None else l2_normalize(y)
            if self.p == 2 and self.power == 2:
                return squared_euclidean(x, y)
            others = x if y is None else y
            distances = euclidean(x, y) if self.p == 2 else torch.cdist(x, others, p=self.p)
            return to_power(distances, self.power)

    def similarity(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Similarities:
        return -self(embeddings, references)


class Cosine:
    """Cosine distance: d(x, y) = 1 - x·y / (|x| |y|), in [0, 2].

    The similarity is the cosine. The cosine of a row of zeros counts as 0. The similarity of equal
    rows is 1 up to rounding.
    """

    similarity_range = (-1.0, 1.0)

    def __call__(self, embeddings: Embeddings, references: References | None = None) -> Distances:
        x, y = self._directions(embeddings, references)
        differ = rows_differ(x.detach() + 0.0, y.detach() + 0.0)  # + 0 turns -0 into 0
        with torch.autocast(x.device.type, enabled=False):
            return (1 - x @ y.T).clamp(min=0) * differ

    def similarity(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Similarities:
        x, y = self._directions(embeddings, references)
        with torch.autocast(x.device.type, enabled=False):
            return x @ y.T

    def _directions(
        self, embeddings: Embeddings, references: References | None
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(embeddings.device.type, enabled=False):
            x, y = to_common_type(embeddings, references)
            x = l2_normalize(x)
            return x, x if y is None else l2_normalize(y)


class DotProduct:
    """Dot product: d(x, y) = -x·y without normalization, unbounded; the similarity is x·y."""

    def __call__(self, embeddings: Embeddings, references: References | None = None) -> Distances:
        return -self.similarity(embeddings, references)

    def similarity(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Similarities:
        with torch.autocast(embeddings.device.type, enabled=False):
            x, y = to_common_type(embeddings, references)
            return x @ (x if y is None else y).T


class SNR:
    """SNR distance: d(x, y) = Var(x - y) / Var(x), variances over the D dimensions.

    This is the ratio of noise to signal of Yuan et al., CVPR 2019,
    https://arxiv.org/abs/1904.02616. The similarity is -d. It is not symmetric: x is the anchor. A
    Var(x) below 1e-8 counts as 1e-8.

    Args:
        normalize: whether to scale the vectors to length one first, as pytorch-metric-learning
            does.
    """

    similarity_range = (-math.inf, 0.0)

    def __init__(self, normalize: bool = False) -> None:
        self.normalize = normalize

    def __call__(self, embeddings: Embeddings, references: References | None = None) -> Distances:
        with torch.autocast(embeddings.device.type, enabled=False):
            x, y = to_common_type(embeddings, references)
            x, y = self._centred(x), None if y is None else self._centred(y)
            signal = x.square().mean(dim=1, keepdim=True).clamp(min=1e-8)
            return squared_euclidean(x, y) / x.shape[1] / signal

    def similarity(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Similarities:
        return -self(embeddings, references)

    def _centred(self, rows: Tensor) -> Tensor:
        """The rows minus their mean over the dimensions, which changes no variance."""
        x = l2_normalize(rows) if self.normalize else rows
        return x - x.mean(dim=1, keepdim=True)


def similarity_range(distance: Distance) -> tuple[float, float]:
    """The least and the greatest similarity that a distance can give; infinite where unknown."""
    limits: tuple[float, float] = getattr(distance, "similarity_range", (-math.inf, math.inf))
    return limits


def finite_similarity_range(distance: Distance) -> tuple[float, float]:
    """The least and the greatest similarity, both finite, for losses that count in a histogram.

    Raises:
        ValueError: the distance has no such bounds.
    """
    limits = similarity_range(distance)
    if not all(map(math.isfinite, limits)):
        raise ValueError(
            "distance must be bounded, as Cosine and Lp of unit vectors with p >= 2 are, "
            f"got {described(distance)}"
        )
    return limits


def described(distance: Distance) -> str:
    """A distance with its numbers, such as `Lp(p=2, power=1, normalize=True)`."""
    numbers = (f"{name}={value}" for name, value in vars(distance).items() if name[0] != "_")
    return f"{type(distance).__name__}({', '.join(numbers)})"


def to_power(distances: Tensor, power: float) -> Tensor:
    """Power of distances whose gradient at zero is zero, also where the power is below 1."""
    if power == 1:
        return distances
    if power > 1:
        return distances**power
    zero = distances == 0
    return distances.masked_fill(zero, 1).pow(power).masked_fill(zero, 0)


def safe_sqrt(squared: Tensor) -> Tensor:
    """Square root whose gradient at zero is zero instead of infinite; NaN stays NaN."""
    zero = squared == 0
    return squared.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
