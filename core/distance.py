"""Exchangeable distances: every pair objective and miner measures closeness with one of these.

Each is called for distances (smaller is closer) and offers `similarity` (larger is closer), so
that no objective ever asks which way its measure points. All compute in at least float32.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor

from core.euclidean import euclidean, squared_euclidean
from core.types import Distances, Embeddings, References, Similarities


def precise(embeddings: Tensor) -> Tensor:
    """At least float32: half precision is for the backbone, not for the geometry."""
    return embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))


class Lp:
    """d(x, y) = ||x - y||_p ^ power, of unit vectors if `normalize`; its similarity is -d.

    Differences:
        pytorch-metric-learning: vectors are scaled to unit p-norm, here to unit Euclidean length
            whatever p is; the same at p = 2.

    Args:
        p: order of the norm, >= 1.
        power: exponent of the distance; p=2, power=2 is the squared Euclidean distance.
        normalize: whether to project onto the unit sphere first.
    """

    def __init__(
        self, p: Annotated[float, Ge(1)] = 2, power: float = 1, normalize: bool = True
    ) -> None:
        if p < 1:
            raise ValueError(f"p must be at least 1, got {p}")
        self.p, self.power, self.normalize = p, power, normalize

    def __call__(self, embeddings: Embeddings, references: References | None = None) -> Distances:
        with torch.autocast(embeddings.device.type, enabled=False):
            x = self._placed(embeddings)
            y = None if references is None else self._placed(references)
            if self.p == 2 and self.power == 2:
                return squared_euclidean(x, y)
            others = x if y is None else y
            distances = euclidean(x, y) if self.p == 2 else torch.cdist(x, others, p=self.p)
            return distances if self.power == 1 else distances**self.power

    def similarity(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Similarities:
        return -self(embeddings, references)

    def _placed(self, embeddings: Tensor) -> Tensor:
        x = precise(embeddings)
        return F.normalize(x, dim=1) if self.normalize else x


class Cosine:
    """d(x, y) = 1 - x·y / (|x| |y|), in [0, 2]; its similarity is the cosine itself."""

    def __call__(self, embeddings: Embeddings, references: References | None = None) -> Distances:
        return 1 - self.similarity(embeddings, references)

    def similarity(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Similarities:
        with torch.autocast(embeddings.device.type, enabled=False):
            x = F.normalize(precise(embeddings), dim=1)
            y = x if references is None else F.normalize(precise(references), dim=1)
            return x @ y.T


class DotProduct:
    """d(x, y) = -x·y of the embeddings as they are, unbounded; its similarity is x·y."""

    def __call__(self, embeddings: Embeddings, references: References | None = None) -> Distances:
        return -self.similarity(embeddings, references)

    def similarity(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Similarities:
        with torch.autocast(embeddings.device.type, enabled=False):
            x = precise(embeddings)
            y = x if references is None else precise(references)
            return x @ y.T


class SNR:
    """d(x, y) = Var(x - y) / Var(x), variances over the D dimensions; its similarity is -d.

    The ratio of noise to signal of Yuan et al., CVPR 2019, https://arxiv.org/abs/1904.02616. It is
    not symmetric: x is the anchor. Where Var(x) is below 1e-8 it counts as 1e-8.

    Args:
        normalize: whether to project onto the unit sphere first, as pytorch-metric-learning does.
    """

    def __init__(self, normalize: bool = False) -> None:
        self.normalize = normalize

    def __call__(self, embeddings: Embeddings, references: References | None = None) -> Distances:
        with torch.autocast(embeddings.device.type, enabled=False):
            x = self._centred(embeddings)
            y = None if references is None else self._centred(references)
            signal = x.square().mean(dim=1, keepdim=True).clamp(min=1e-8)
            return squared_euclidean(x, y) / x.shape[1] / signal

    def similarity(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Similarities:
        return -self(embeddings, references)

    def _centred(self, embeddings: Tensor) -> Tensor:
        """Minus the mean over the dimensions, which leaves every variance as it is."""
        x = precise(embeddings)
        x = F.normalize(x, dim=1) if self.normalize else x
        return x - x.mean(dim=1, keepdim=True)


def safe_sqrt(squared: Tensor) -> Tensor:
    """Square root whose gradient at zero is zero instead of infinite; NaN stays NaN."""
    zero = squared == 0
    return squared.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
