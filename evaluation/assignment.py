"""The nearest centroid of each point."""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.types import Embeddings
from evaluation.backend import precisions
from evaluation.certified_nearest import certified_nearest
from evaluation.chunks import in_chunks
from evaluation.exact import Exact
from evaluation.screen import Rounded, Screen, rounded
from evaluation.space import full_precision, half_squared_norms

Clusters = Int[Tensor, " N"]  # 0..k-1
Centroids = Float[Tensor, "C D"]


class Assignment:
    """Assigns points to centroids, which may move: Euclidean, of equally near ones the first.

    On the CPU by `evaluation.certified_nearest`, elsewhere by products in float32.

    Args:
        memory: working memory in bytes.
    """

    def __init__(self, points: Embeddings, memory: int) -> None:
        self.points, self.memory = points, memory
        self.rounded: dict[torch.dtype, Rounded] = {}

    def __call__(self, centroids: Centroids) -> Clusters:
        if self.points.device.type == "cpu":
            return self.certified(centroids)
        return self.dense(centroids)

    def dense(self, centroids: Centroids) -> Clusters:
        offset = half_squared_norms(centroids)

        def nearest(part: slice, workspace: Tensor) -> Clusters:
            with full_precision(centroids.device):
                torch.mm(self.points[part], centroids.T, out=workspace)
            return workspace.sub_(offset).argmax(dim=1)

        width, total = len(centroids), len(self.points)
        chunks = in_chunks(nearest, total, width=width, like=centroids, memory=self.memory)
        return torch.cat([clusters for _, clusters in chunks])

    def certified(self, centroids: Centroids) -> Clusters:
        exact = Exact(self.points, centroids, "euclidean")
        screen_in = partial(self.screen, centroids)
        chosen = precisions(len(self.points) * len(centroids))
        return certified_nearest(exact, screen_in, chosen, 1, self.memory)[:, 0]

    def screen(self, centroids: Centroids, precision: torch.dtype) -> Screen:
        if precision not in self.rounded:
            self.rounded[precision] = rounded(self.points, precision)
        return Screen(self.rounded[precision], rounded(centroids, precision), "euclidean")
