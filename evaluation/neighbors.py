"""Exact search: the rank of every relevant item, without an N x N matrix and without a depth.

The i-th nearest relevant item of a query has rank

    i + (number of irrelevant gallery items at least as near),

so nothing needs to be sorted but the few relevant items, and no neighbour beyond some k is lost.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.types import Embeddings, Labels
from evaluation.chunks import MEMORY, in_chunks
from evaluation.ranking import ABSENT, Ranking
from evaluation.space import Distance, full_precision, half_squared_norms, points_of

Indices = Int[Tensor, " Q"]

MANY = 128  # counts per row from which sorting the row once is faster than counting each


def rank(
    embeddings: Embeddings,
    labels: Labels,
    queries: Indices | None = None,
    gallery: Indices | None = None,
    *,
    distance: Distance = "cosine",
    memory: int = MEMORY,
) -> Iterator[tuple[Indices, Ranking]]:
    """Rank the gallery for every query that has something to find, some queries at a time.

    Yields `(indices of the queries, their Ranking)`, queries with few relevant items first. A
    query that is in the gallery is no neighbour of itself, wherever it would come; a copy of it is.
    The result does not depend on `memory` but for the rounding of the products.

    Args:
        queries: indices into `embeddings`; None means all of them.
        gallery: indices into `embeddings`, each once; None means all of them.
        distance: `cosine` or `euclidean`.
        memory: working memory in bytes.
    """
    everyone = torch.arange(len(labels), device=labels.device)
    queries = everyone if queries is None else queries
    gallery = everyone if gallery is None else gallery
    points = points_of(embeddings, distance)
    gallery_points = points[gallery]
    offset = half_squared_norms(gallery_points) if distance == "euclidean" else None
    members = Members(labels, queries, gallery)
    order = members.answerable()
    if len(order) == 0:
        return

    def rank_some(part: slice, workspace: Tensor) -> tuple[Indices, Ranking]:
        chosen = order[part]
        similarity, scratch = workspace.view(2, len(chosen), -1)
        with full_precision(points.device):
            torch.mm(points[queries[chosen]], gallery_points.T, out=similarity)
        if offset is not None:
            similarity -= offset
        return queries[chosen], members.rank(chosen, similarity, scratch)

    searches = in_chunks(
        rank_some,
        len(order),
        width=2 * len(gallery),
        like=points,
        memory=memory,
        extra=members.bytes_per_query(),
    )
    yield from (ranked for _, ranked in searches)


class Members:
    """Who is relevant to whom: the gallery, class by class, and where the queries are in it."""

    def __init__(self, labels: Labels, queries: Indices, gallery: Indices) -> None:
        by_class = labels[gallery].sort(stable=True)
        wanted = labels[queries]
        self.of_class = by_class.indices
        self.first = torch.searchsorted(by_class.values, wanted)
        self.class_size = torch.searchsorted(by_class.values, wanted, right=True) - self.first
        position = torch.full_like(labels, -1, dtype=torch.int64)
        position[gallery] = torch.arange(len(gallery), device=labels.device)
        self.itself = position[queries]  # -1: the query is not in the gallery
        self.num_relevant = self.class_size - (self.itself >= 0).long()

    def answerable(self) -> Indices:
        """Queries with something to find; similar numbers side by side waste no padding."""
        order = self.num_relevant.argsort(stable=True)
        return order[self.num_relevant[order] > 0]

    def bytes_per_query(self) -> int:
        """What `rank` allocates for the query with most to find, besides its arguments."""
        widest = int(self.class_size.max())
        sorting = 24 * len(self.of_class) if widest > MANY else 0
        return 64 * widest + sorting

    def rank(self, chosen: Indices, similarity: Tensor, scratch: Tensor) -> Ranking:
        """The ranking of the chosen queries; overwrites their similarities (Q, M)."""
        class_size, num_relevant = self.class_size[chosen], self.num_relevant[chosen]
        nth = torch.arange(int(class_size.max()), device=chosen.device).expand(len(chosen), -1)
        filler = nth >= class_size[:, None]
        members = self.of_class[self.first[chosen, None] + nth.masked_fill(filler, 0)]
        irrelevant = filler | (members == self.itself[chosen, None])
        relevant = similarity.gather(1, members).masked_fill_(irrelevant, -torch.inf)
        relevant = relevant.sort(dim=1, descending=True).values[:, : int(num_relevant.max())]
        similarity.scatter_(1, members, -torch.inf)  # what remains to be counted is irrelevant
        nth = torch.arange(1, relevant.shape[1] + 1, device=chosen.device)
        ranks = nth + count_at_least(similarity, relevant, scratch)
        ranks.masked_fill_(nth > num_relevant[:, None], ABSENT)
        return Ranking(ranks, num_relevant, class_size)


def count_at_least(
    values: Float[Tensor, "Q M"], thresholds: Float[Tensor, "Q R"], scratch: Float[Tensor, "Q M"]
) -> Int[Tensor, "Q R"]:
    """How many values of a row reach each of its thresholds.

    Counts in floating point, exact below 2^24 values: many times faster than adding booleans.
    """
    if thresholds.shape[1] > MANY:
        ascending = values.sort(dim=1).values
        return values.shape[1] - torch.searchsorted(ascending, thresholds.contiguous())
    counts = [
        torch.ge(values, threshold[:, None], out=scratch).sum(dim=1)
        for threshold in thresholds.unbind(dim=1)
    ]
    return torch.stack(counts, dim=1).long()
