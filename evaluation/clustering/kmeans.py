"""Lloyd's k-means, exact, seeded and in bounded memory."""

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
    """The mean of each cluster; an empty one takes a point that is far from its centroid."""
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
    """Of each point to the centroid of its cluster, some points at a time."""
    return torch.cat(
        [
            (x - centroids[c]).square().sum(dim=1)
            for x, c in zip(torch.split(points, ROWS), torch.split(clusters, ROWS), strict=True)
        ]
    )
