"""Ranks by the neighbours that faiss finds, of the queries whose relevant items are among them."""

from collections.abc import Generator

import torch
from torch import Tensor

from core.types import Embeddings
from evaluation.metrics.ranking import ABSENT
from evaluation.search.chunks import in_chunks
from evaluation.search.faiss_knn import BYTES, DEEPEST, Index
from evaluation.search.relevance_index import RelevanceIndex
from evaluation.search.space import Distance

Ranks = tuple[Tensor, Tensor]  # queries, and the ranks of their relevant items


def faiss_ranks(
    members: RelevanceIndex,
    queries: Embeddings,
    gallery: Embeddings,
    distance: Distance,
    memory: int,
) -> Generator[Ranks, None, Tensor]:
    """Yield queries, some at a time, and their ranks as in `Ranking`; return the other queries.

    The others have a relevant item that is not among the nearest, twice the size of the largest
    class.
    """
    depth = min(2 * int(members.class_size.max()) + 1, len(gallery))
    depth = min(depth, DEEPEST) if gallery.is_cuda else depth
    wanted, index = members.answerable(), Index(gallery, distance)

    def search(part: slice, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        chosen = wanted[part]
        found = index(queries[chosen], depth)
        values, items = (torch.from_numpy(array).to(chosen.device) for array in found)
        return (chosen, *ranks_among(members, chosen, values, items))

    total, extra = len(wanted), BYTES * depth
    parts = in_chunks(search, total, width=1, like=queries, memory=memory, extra=extra)
    undecided = [wanted[:0]]
    for _, (chosen, ranks, decided) in parts:
        yield chosen[decided], ranks[decided]
        undecided.append(chosen[~decided])
    return torch.cat(undecided)


def ranks_among(
    members: RelevanceIndex, chosen: Tensor, values: Tensor, items: Tensor
) -> tuple[Tensor, Tensor]:
    """The ranks among the nearest items, and of which queries these are all.

    What was not found may be as near as the last item that was, and then comes before it.
    """
    itself = items == members.itself[chosen, None]
    relevant = members.share_class(chosen, items) & ~itself
    everything = items.shape[1] == len(members.of_class)
    certain = relevant if everything else relevant & (values > values[:, -1:])
    num_relevant = members.num_relevant[chosen]

    order = relevant.long().argsort(dim=1, stable=True)  # irrelevant ones first where equally near
    values = values.masked_fill(itself, -torch.inf).gather(1, order)
    order = order.gather(1, values.argsort(dim=1, descending=True, stable=True))
    relevant = relevant.gather(1, order)
    row, place = relevant.nonzero().unbind(1)
    ranks = torch.full((len(chosen), int(members.class_size[chosen].max())), ABSENT)
    ranks = ranks.to(chosen.device)
    ranks[row, relevant.cumsum(dim=1)[row, place] - 1] = place + 1
    return ranks[:, : int(num_relevant.max())], certain.sum(dim=1) == num_relevant
