"""K-means by Lloyd's algorithm, with exact assignments, a seed and bounded memory."""

import torch
from jaxtyping import Float
from torch import Tensor

from core.ranges import PositiveInt, Seed
from core.types import Embeddings
from evaluation.clustering.assignment import Assignment, Centroids
from evaluation.clustering.clusters import Clusters
from evaluation.clustering.sums import ROWS, sums_by_group
from evaluation.metrics.undefined import UndefinedError
from evaluation.search.chunks import MEMORY
from evaluation.search.parallel import WorkerThreads


def kmeans(
    points: Embeddings,
    num_clusters: PositiveInt,
    *,
    iterations: PositiveInt = 20,
    seed: Seed = 0,
    memory: PositiveInt = MEMORY,
) -> Clusters:
    """K-means: starts from k random points and moves each centroid to the mean of its cluster.

    The centroid of an empty cluster moves to the point farthest from its centroid, that of a second
    empty cluster to the second farthest. The initial centroids are drawn on the CPU, so that they
    are the same on every device.

    Args:
        num_clusters: k, from 1 to the number of points.
        iterations: maximum number of iterations; stops earlier if no assignment changes. 20 as in
            faiss.
        seed: seed of the initial centroids.
        memory: working memory in bytes.

    Raises:
        UndefinedError: more clusters than points.
    """
    if not 1 <= num_clusters <= len(points):
        raise UndefinedError(f"{num_clusters} clusters of {len(points)} points do not exist")
    start = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    centroids = points[start[:num_clusters].to(points.device)]
    with WorkerThreads() as workers:
        assign = Assignment(points, memory, workers)
        clusters = assign(centroids)
        for _ in range(iterations):
            previous = clusters
            centroids = move(points, clusters, centroids)
            clusters = assign(centroids)
            if clusters.equal(previous):
                break
    return clusters


def move(points: Embeddings, clusters: Clusters, centroids: Centroids) -> Centroids:
    """New centroids: the mean of each cluster, or a distant point for an empty cluster."""
    sums, sizes = sums_by_group(points, clusters, len(centroids))
    means = (sums / sizes[:, None]).to(points.dtype)
    empty = (sizes == 0).nonzero().squeeze(1)
    if len(empty):
        distances = squared_distances(points, centroids, clusters)
        means[empty] = points[distances.topk(len(empty)).indices]
    return means


def squared_distances(
    points: Embeddings, centroids: Centroids, clusters: Clusters
) -> Float[Tensor, " N"]:
    """Squared distances of each point to the centroid of its cluster."""
    return torch.cat(
        [
            (x - centroids[c]).square().sum(dim=1)
            for x, c in zip(torch.split(points, ROWS), torch.split(clusters, ROWS), strict=True)
        ]
    )
