"""Assignment: the nearest centroid of each point."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from core.types import Embeddings
from evaluation.clustering.clusters import Clusters
from evaluation.search.backend import choose_precisions
from evaluation.search.chunks import in_chunks
from evaluation.search.parallel import WorkerThreads
from evaluation.search.space import full_precision, half_squared_norms
from evaluation.search.two_stage.knn import two_stage_knn
from evaluation.search.two_stage.low_precision import (
    LowPrecisionProduct,
    RoundedPoints,
    round_points,
)

Centroids = Float[Tensor, "C D"]


class Assignment:
    """Assignment: assigns each point to the nearest centroid by Euclidean distance.

    At equal distance, the centroid with the lower index is assigned. On the CPU the two-stage
    search is used, on other devices float32 products.

    Args:
        points: the points, which are the same in every call.
        memory: working memory in bytes.
        workers: running worker threads; None starts new ones for each assignment.
    """

    def __init__(
        self, points: Embeddings, memory: int, workers: WorkerThreads | None = None
    ) -> None:
        self.points, self.memory, self.workers = points, memory, workers
        self.rounded: dict[torch.dtype, RoundedPoints] = {}

    def __call__(self, centroids: Centroids) -> Clusters:
        if self.points.device.type == "cpu":
            return self.two_stage(centroids)
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

    def two_stage(self, centroids: Centroids) -> Clusters:
        precisions = choose_precisions(len(self.points) * len(centroids))
        products = [partial(self.product, centroids, precision) for precision in precisions]
        nearest = two_stage_knn(
            self.points, centroids, 1, "euclidean", products, self.memory, workers=self.workers
        )
        return nearest[:, 0]

    def product(self, centroids: Centroids, precision: torch.dtype) -> LowPrecisionProduct:
        if precision not in self.rounded:
            self.rounded[precision] = round_points(self.points, precision)
        return LowPrecisionProduct(
            self.rounded[precision], round_points(centroids, precision), "euclidean"
        )
