"""Lloyd's k-means, exact, seeded and in bounded memory."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.types import Embeddings
from evaluation.chunks import MEMORY, in_chunks
from evaluation.space import full_precision, half_squared_norms
from evaluation.sums import sums_by_group
from evaluation.undefined import UndefinedError

Clusters = Int[Tensor, " N"]  # 0..k-1


def kmeans(
    points: Embeddings,
    num_clusters: int,
    *,
    iterations: int = 20,
    seed: int = 0,
    memory: int = MEMORY,
) -> Clusters:
    """The cluster of each point: k random points, moved `iterations` times to their cluster's mean.

    A centroid that loses all its points goes to the point farthest from its own centroid, the
    next one to the second farthest. The start is drawn on the CPU, so every device has the same.

    Args:
        num_clusters: k, from 1 to the number of points.
        iterations: most moves; stops earlier if no point changes its cluster. 20 as in faiss.
        seed: of the random start.
        memory: working memory in bytes.

    Raises:
        UndefinedError: more clusters than points.
    """
    if not 1 <= num_clusters <= len(points):
        raise UndefinedError(f"{num_clusters} clusters of {len(points)} points do not exist")
    start = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    centroids = points[start[:num_clusters].to(points.device)]
    clusters, closeness = assign(points, centroids, memory)
    for _ in range(iterations):
        previous = clusters
        centroids = move(points, clusters, closeness, num_clusters)
        clusters, closeness = assign(points, centroids, memory)
        if clusters.equal(previous):
            break
    return clusters


def assign(
    points: Embeddings, centroids: Float[Tensor, "C D"], memory: int
) -> tuple[Clusters, Float[Tensor, " N"]]:
    """The nearest centroid c of each point x, and x·c - |c|²/2, which is (|x|² - |x - c|²) / 2."""
    offset = half_squared_norms(centroids)

    def nearest(part: slice, workspace: Tensor) -> tuple[Tensor, Tensor]:
        with full_precision(points.device):
            torch.mm(points[part], centroids.T, out=workspace)
        closeness, cluster = workspace.sub_(offset).max(dim=1)
        return cluster, closeness

    chunks = in_chunks(nearest, len(points), width=len(centroids), like=points, memory=memory)
    clusters, closeness = zip(*(found for _, found in chunks), strict=True)
    return torch.cat(clusters), torch.cat(closeness)


def move(
    points: Embeddings, clusters: Clusters, closeness: Float[Tensor, " N"], num_clusters: int
) -> Float[Tensor, "C D"]:
    """The mean of each cluster; an empty one takes a point that is far from its centroid."""
    sums, sizes = sums_by_group(points, clusters, num_clusters)
    centroids = (sums / sizes[:, None]).to(points.dtype)
    empty = (sizes == 0).nonzero().squeeze(1)
    distances = half_squared_norms(points) - closeness
    centroids[empty] = points[distances.topk(len(empty)).indices]
    return centroids
