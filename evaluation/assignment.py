"""The nearest centroid of each point."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from core.types import Embeddings
from evaluation.backend import fast_precisions
from evaluation.chunks import in_chunks
from evaluation.exact import Exact
from evaluation.parallel import in_parallel
from evaluation.screen import Floats, Rounded, Screen, bits, numbers, rounded, truncated
from evaluation.space import full_precision, half_squared_norms

Clusters = Int[Tensor, " N"]  # 0..k-1
Centroids = Float[Tensor, "C D"]
Found = tuple[Tensor, Tensor, Tensor]  # points, their centroids, and which of them are decided

ROWS = 512  # points at a time: enough for a fast product, few enough for the cache
MOST = 1 / 12  # share of the centroids from which another product is cheaper than comparing


class Assignment:
    """Assigns points to centroids, which may move: Euclidean, of equally near ones the first.

    On the CPU in two stages, as `evaluation.certified` ranks: the centroids that may be the nearest
    by a product in low precision are compared in float64. Elsewhere by products in float32.

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
        clusters = torch.empty(len(self.points), dtype=torch.int64)
        left, precisions = torch.arange(len(self.points)), fast_precisions()
        for precision in precisions:
            most = 1 if precision == precisions[-1] else MOST
            screen = self.screen(centroids, precision)
            memory = self.memory // torch.get_num_threads()
            with full_precision(left.device):
                found = in_parallel(partial(nearest, screen, exact, most, memory), left)
            for points, nearest_ones, decided in found:
                clusters[points[decided]] = nearest_ones[decided]
            left = torch.cat([points[~decided] for points, _, decided in found])
            if len(left) == 0:
                break
        return clusters

    def screen(self, centroids: Centroids, precision: torch.dtype) -> Screen:
        if precision not in self.rounded:
            self.rounded[precision] = rounded(self.points, precision)
        return Screen(self.rounded[precision], rounded(centroids, precision), "euclidean")


def nearest(screen: Screen, exact: Exact, most: float, memory: int, points: Tensor) -> list[Found]:
    """The nearest centroid of the points; those with too many possible ones stay undecided."""
    width, like = len(screen.gallery), screen.gallery

    def nearest_some(part: slice, workspace: Tensor) -> Found:
        chosen = points[part]
        rows, items = rivals(screen, chosen.numpy(), screen.similarities(chosen, workspace))
        count = np.bincount(rows, minlength=len(chosen))
        decided = count <= max(1, int(most * width))
        found = items[count.cumsum() - count]
        contested = (decided & (count > 1))[rows]
        rows, items = rows[contested], items[contested]
        truth = exact(chosen.numpy()[rows], items)
        order = np.lexsort((-items, truth, rows))  # the best, of equals the first, comes last
        found[rows[order]] = items[order]
        return chosen, torch.from_numpy(found), torch.from_numpy(decided)

    extra = 6 * width
    enough = ROWS * (width * like.element_size() + extra)
    memory = min(memory, enough)
    chunks = in_chunks(
        nearest_some, len(points), width=width, like=like, memory=memory, extra=extra
    )
    return [found for _, found in chunks]


def rivals(
    screen: Screen, points: NDArray[np.int64], similarity: Tensor
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the centroids that may be the nearest, row by row."""
    if similarity.dtype == torch.bfloat16:
        codes = bits(similarity)
        best = codes.max(axis=1)
        limit = screen.rivals(numbers(best), points)
        if (best > 0).all() and (limit > 0).all():  # the bits of negatives run backwards
            return np.divmod(
                np.flatnonzero(codes >= truncated(limit)[:, None]), len(screen.gallery)
            )
    values: Floats = similarity.float().numpy()
    limit = screen.rivals(values.max(axis=1), points)
    return np.divmod(np.flatnonzero(values >= limit[:, None]), len(screen.gallery))
