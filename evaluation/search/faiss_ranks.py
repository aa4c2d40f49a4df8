"""Rank search by faiss: ranks of the queries whose relevant items are all near neighbours."""

from collections.abc import Generator

import torch
from torch import Tensor

from core.types import Embeddings
from evaluation.metrics.ranking import ABSENT
from evaluation.search.chunks import in_chunks
from evaluation.search.faiss_knn import BYTES_PER_NEIGHBOR, MAX_GPU_NEIGHBORS, FaissIndex
from evaluation.search.relevance_index import RelevanceIndex
from evaluation.search.space import Distance

Ranks = tuple[Tensor, Tensor]  # queries, and the ranks of their relevant items


def faiss_ranks(
    relevance: RelevanceIndex,
    queries: Embeddings,
    gallery: Embeddings,
    distance: Distance,
    memory: int,
) -> Generator[Ranks, None, Tensor]:
    """Yield queries in chunks and their ranks as in `Ranking`; return the other queries.

    The search depth is twice the size of the largest class. The returned queries have a relevant
    item beyond this depth.
    """
    depth = min(2 * int(relevance.class_size.max()) + 1, len(gallery))
    depth = min(depth, MAX_GPU_NEIGHBORS) if gallery.is_cuda else depth
    remaining, index = relevance.queries_with_positives(), FaissIndex(gallery, distance)

    def search(part: slice, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        selected = remaining[part]
        arrays = index(queries[selected], depth)
        values, items = (torch.from_numpy(array).to(selected.device) for array in arrays)
        return (selected, *ranks_among(relevance, selected, values, items))

    total, extra = len(remaining), BYTES_PER_NEIGHBOR * depth
    parts = in_chunks(search, total, width=1, like=queries, memory=memory, extra=extra)
    undecided = [remaining[:0]]
    for _, (selected, ranks, decided) in parts:
        yield selected[decided], ranks[decided]
        undecided.append(selected[~decided])
    return torch.cat(undecided)


def ranks_among(
    relevance: RelevanceIndex, selected: Tensor, values: Tensor, items: Tensor
) -> tuple[Tensor, Tensor]:
    """Ranks of the relevant items among the nearest, and which queries have all of them there.

    An irrelevant item that was not retrieved may be as near as the last retrieved item, and would
    then come before it.
    """
    ignored = relevance.ignored.contains(selected, items)
    relevant = relevance.same_class(selected, items) & ~ignored
    is_complete = items.shape[1] == len(relevance.of_class)
    certain = relevant if is_complete else relevant & (values > values[:, -1:])
    num_relevant = relevance.num_relevant[selected]

    order = relevant.long().argsort(dim=1, stable=True)  # irrelevant first at equal distance
    values = values.masked_fill(ignored, -torch.inf).gather(1, order)
    order = order.gather(1, values.argsort(dim=1, descending=True, stable=True))
    relevant = relevant.gather(1, order)
    row, column = relevant.nonzero().unbind(1)
    ranks = torch.full((len(selected), int(relevance.class_size[selected].max())), ABSENT)
    ranks = ranks.to(selected.device)
    ranks[row, relevant.cumsum(dim=1)[row, column] - 1] = column + 1
    return ranks[:, : int(num_relevant.max())], certain.sum(dim=1) == num_relevant
