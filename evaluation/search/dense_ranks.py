"""Dense rank search: ranks from complete rows of float32 similarities, in torch on any device."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.types import Embeddings
from evaluation.metrics.ranking import ABSENT
from evaluation.search.chunks import in_chunks
from evaluation.search.relevance_index import RelevanceIndex
from evaluation.search.space import Distance, full_precision, half_squared_norms

SORT_FROM = 128  # thresholds per row from which sorting the row is faster than comparing each


def dense_ranks(
    relevance: RelevanceIndex,
    remaining: Tensor,
    queries: Embeddings,
    gallery: Embeddings,
    distance: Distance,
    memory: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the remaining queries in chunks, and their ranks as in `Ranking`."""
    if len(remaining) == 0:
        return
    offset = half_squared_norms(gallery) if distance == "euclidean" else None

    def rank_chunk(part: slice, workspace: Tensor) -> tuple[Tensor, Tensor]:
        selected = remaining[part]
        similarity, scratch = workspace.view(2, len(selected), -1)
        with full_precision(gallery.device):
            torch.mm(queries[selected], gallery.T, out=similarity)
        if offset is not None:
            similarity -= offset
        return selected, ranks_from_similarities(relevance, selected, similarity, scratch)

    largest_class = int(relevance.class_size.max())
    sorting = 24 * len(gallery) if largest_class > SORT_FROM else 0
    searches = in_chunks(
        rank_chunk,
        len(remaining),
        width=2 * len(gallery),
        like=gallery,
        memory=memory,
        extra=64 * largest_class + sorting,
    )
    yield from (ranked for _, ranked in searches)


def ranks_from_similarities(
    relevance: RelevanceIndex, selected: Tensor, similarity: Float[Tensor, "Q M"], scratch: Tensor
) -> Int[Tensor, "Q R"]:
    """Ranks of the relevant items of the selected queries; overwrites `similarity`."""
    class_size, num_relevant = relevance.class_size[selected], relevance.num_relevant[selected]
    nth = torch.arange(int(class_size.max()), device=selected.device).expand(len(selected), -1)
    padding = nth >= class_size[:, None]
    items = relevance.of_class[relevance.first[selected, None] + nth.masked_fill(padding, 0)]
    not_relevant = padding | relevance.ignored.contains(selected, items)
    relevant = similarity.gather(1, items).masked_fill_(not_relevant, -torch.inf)
    relevant = relevant.sort(dim=1, descending=True).values[:, : int(num_relevant.max())]
    similarity.scatter_(1, items, -torch.inf)  # only irrelevant items are counted
    if relevance.ignored.has_groups:  # which may hold items of other classes
        similarity.masked_fill_(relevance.ignored.mask(selected), -torch.inf)
    nth = torch.arange(1, relevant.shape[1] + 1, device=selected.device)
    ranks = nth + count_at_least(similarity, relevant, scratch)
    return ranks.masked_fill_(nth > num_relevant[:, None], ABSENT)


def count_at_least(
    values: Float[Tensor, "Q M"], thresholds: Float[Tensor, "Q R"], scratch: Float[Tensor, "Q M"]
) -> Int[Tensor, "Q R"]:
    """Number of values in a row that are at least each of the row's thresholds.

    Comparisons are summed as floats, exact below 2^24 values and much faster than booleans.
    """
    if thresholds.shape[1] > SORT_FROM:
        ascending = values.sort(dim=1).values
        return values.shape[1] - torch.searchsorted(ascending, thresholds.contiguous())
    counts = [
        torch.ge(values, threshold[:, None], out=scratch).sum(dim=1)
        for threshold in thresholds.unbind(dim=1)
    ]
    return torch.stack(counts, dim=1).long()
