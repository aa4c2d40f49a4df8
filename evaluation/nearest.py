"""The k nearest neighbours of every query, for whoever needs their names."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.types import Embeddings
from evaluation.chunks import MEMORY, in_chunks
from evaluation.space import Distance, full_precision, half_squared_norms, points_of

NOBODY = -1  # fills up the rows of queries with fewer neighbours


class Neighbors(NamedTuple):
    """Q queries and their nearest gallery items, nearest first, the query itself left out.

    Of two equally near, the one with the lower index comes first. Where the gallery has fewer than
    k others, the row ends in `NOBODY`, infinitely far.
    """

    queries: Int[Tensor, " Q"]  # indices into the embeddings, all queries, in their order
    indices: Int[Tensor, "Q k"]  # likewise
    distances: Float[Tensor, "Q k"]  # 1 - cosine, or Euclidean; float64

    def first(self, k: int) -> "Neighbors":
        """Only the nearest `k` of each query."""
        return Neighbors(self.queries, self.indices[:, :k], self.distances[:, :k])


def nearest(
    embeddings: Embeddings,
    k: int,
    queries: Int[Tensor, " Q"] | None = None,
    gallery: Int[Tensor, " M"] | None = None,
    *,
    distance: Distance = "cosine",
    memory: int = MEMORY,
) -> Neighbors:
    """Search the gallery for the `k` nearest neighbours of every query, exactly.

    Args:
        k: neighbours, at least 1; never more than the gallery has.
        queries: indices into `embeddings`; None means all of them.
        gallery: indices into `embeddings`, each once; None means all of them.
        distance: `cosine` or `euclidean`.
        memory: working memory in bytes.
    """
    if k < 1:
        raise ValueError(f"the number of neighbours k must be at least 1, got {k}")
    everyone = torch.arange(len(embeddings), device=embeddings.device)
    queries = everyone if queries is None else queries
    gallery = everyone if gallery is None else gallery.sort().values
    points = points_of(embeddings, distance)
    offset = half_squared_norms(points[gallery]) if distance == "euclidean" else None

    def search(part: slice, workspace: Tensor) -> tuple[Tensor, Tensor]:
        chosen = queries[part]
        with full_precision(points.device):
            torch.mm(points[chosen], points[gallery].T, out=workspace)
        if offset is not None:
            workspace -= offset
        workspace.masked_fill_(chosen[:, None] == gallery, -torch.inf)
        order = workspace.sort(dim=1, descending=True, stable=True).indices[:, :k]
        found = gallery[order]
        apart = (points[chosen, None].double() - points[found].double()).square().sum(dim=2)
        distances = apart / 2 if distance == "cosine" else apart.sqrt()
        itself = found == chosen[:, None]
        return found.masked_fill(itself, NOBODY), distances.masked_fill(itself, torch.inf)

    width = len(gallery)
    extra = 16 * width + 24 * k * points.shape[1]
    parts = in_chunks(search, len(queries), width=width, like=points, memory=memory, extra=extra)
    if not width or not len(queries):
        nobody = queries.new_empty(len(queries), min(k, width))
        return Neighbors(queries, nobody, nobody.double())
    indices, distances = zip(*(found for _, found in parts), strict=True)
    return Neighbors(queries, torch.cat(indices), torch.cat(distances))
