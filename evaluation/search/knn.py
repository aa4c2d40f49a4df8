"""k-NN search: the k nearest gallery items of every query and their distances."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.types import Embeddings
from evaluation.search.backend import (
    Backend,
    check_backend,
    choose_precisions,
    uses_faiss,
    uses_two_stage,
)
from evaluation.search.chunks import MEMORY, in_chunks
from evaluation.search.faiss_knn import faiss_knn
from evaluation.search.ignored_items import Groups, IgnoredItems
from evaluation.search.neighbors import NO_NEIGHBOR, Neighbors
from evaluation.search.space import (
    Distance,
    full_precision,
    half_squared_norms,
    normalize_for_search,
    unit_of_length,
)
from evaluation.search.two_stage.knn import two_stage_knn
from evaluation.search.two_stage.low_precision import products

ROWS = 16384  # pairs whose distance is computed in float64 at a time


def nearest_neighbors(
    embeddings: Embeddings,
    k: int,
    queries: Int[Tensor, " Q"] | None = None,
    gallery: Int[Tensor, " M"] | None = None,
    *,
    groups: Groups | None = None,
    distance: Distance = "cosine",
    backend: Backend = "auto",
    memory: int = MEMORY,
) -> Neighbors:
    """Exact k-NN search: the `k` nearest gallery items of every query.

    Args:
        k: number of neighbours, >= 1; at most the size of the gallery is returned.
        queries: indices into `embeddings`; None means all of them.
        gallery: indices into `embeddings`, each once; None means all of them.
        groups: of the samples; a query ignores the items of its group, by default itself.
        distance: `cosine` or `euclidean`.
        backend: see `evaluation.search.ranks.relevant_ranks`; among duplicates at the distance of
            the k-th neighbour, faiss may choose another item.
        memory: working memory in bytes.
    """
    if k < 1:
        raise ValueError(f"the number of neighbours k must be at least 1, got {k}")
    all_samples = torch.arange(len(embeddings), device=embeddings.device)
    queries = all_samples if queries is None else queries
    gallery = all_samples if gallery is None else gallery.sort().values
    k = min(k, len(gallery))
    if k == 0 or len(queries) == 0:
        no_neighbors = queries.new_empty(len(queries), k)
        return Neighbors(queries, no_neighbors, no_neighbors.double())
    points = normalize_for_search(embeddings.detach(), distance)
    ignored = IgnoredItems(len(embeddings), queries, gallery, groups)
    check_backend(backend, points.device)
    if uses_faiss(backend, points.device, k + ignored.most - 1):
        nearest = faiss_knn(points[queries], points[gallery], k, ignored, distance, memory)
    elif uses_two_stage(backend, points.device):
        query_points, gallery_points = points[queries], points[gallery]
        precisions = choose_precisions(len(queries) * len(gallery))
        nearest = two_stage_knn(
            *(query_points, gallery_points, k, distance),
            products=products(query_points, gallery_points, distance, precisions),
            memory=memory,
            ignored=ignored,
        )
    else:
        nearest = dense_knn(points[queries], points[gallery], k, ignored, distance, memory)
    indices = gallery[nearest]
    left_out = ignored.contains(all_samples[: len(queries)], nearest)
    distances = distances_of(points, queries, indices, distance)
    if distance == "euclidean":
        distances *= unit_of_length(embeddings).double()
    distances = distances.masked_fill(left_out, torch.inf)
    return Neighbors(queries, indices.masked_fill(left_out, NO_NEIGHBOR), distances)


def dense_knn(
    queries: Embeddings,
    gallery: Embeddings,
    k: int,
    ignored: IgnoredItems,
    distance: Distance,
    memory: int,
) -> Int[Tensor, "Q k"]:
    """Dense k-NN search in torch on any device: sorts complete rows of float32 similarities.

    Returns:
        positions in the gallery, nearest first, ignored items last.
    """
    offset = half_squared_norms(gallery) if distance == "euclidean" else None

    def search(part: slice, workspace: Tensor) -> Tensor:
        with full_precision(gallery.device):
            torch.mm(queries[part], gallery.T, out=workspace)
        if offset is not None:
            workspace -= offset
        workspace.masked_fill_(ignored.mask(part), -torch.inf)
        return workspace.sort(dim=1, descending=True, stable=True).indices[:, :k].clone()

    width = len(gallery)
    parts = in_chunks(
        search, len(queries), width=width, like=gallery, memory=memory, extra=24 * width
    )
    return torch.cat([nearest for _, nearest in parts])


def distances_of(
    points: Embeddings,
    queries: Int[Tensor, " Q"],
    indices: Int[Tensor, "Q k"],
    distance: Distance,
) -> Float[Tensor, "Q k"]:
    """Distances of each query to its neighbours in float64: 1 - cosine, or Euclidean."""
    distances = []
    rows = max(1, ROWS // indices.shape[1])
    for x, y in zip(torch.split(queries, rows), torch.split(indices, rows), strict=True):
        squared = (points[x, None].double() - points[y].double()).square().sum(dim=2)
        distances.append(squared / 2 if distance == "cosine" else squared.sqrt())
    return torch.cat(distances)
