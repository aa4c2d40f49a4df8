"""Ranks by whole rows of float32 similarities, in torch alone and on any device."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.types import Embeddings
from evaluation.metrics.ranking import ABSENT
from evaluation.search.chunks import in_chunks
from evaluation.search.relevance_index import RelevanceIndex
from evaluation.search.space import Distance, full_precision, half_squared_norms

MANY = 128  # counts per row from which sorting the row once is faster than counting each


def dense_ranks(
    members: RelevanceIndex,
    wanted: Tensor,
    queries: Embeddings,
    gallery: Embeddings,
    distance: Distance,
    memory: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the wanted queries, some at a time, and their ranks as in `Ranking`."""
    if len(wanted) == 0:
        return
    offset = half_squared_norms(gallery) if distance == "euclidean" else None

    def rank_some(part: slice, workspace: Tensor) -> tuple[Tensor, Tensor]:
        chosen = wanted[part]
        similarity, scratch = workspace.view(2, len(chosen), -1)
        with full_precision(gallery.device):
            torch.mm(queries[chosen], gallery.T, out=similarity)
        if offset is not None:
            similarity -= offset
        return chosen, ranks_of(members, chosen, similarity, scratch)

    widest = int(members.class_size.max())
    sorting = 24 * len(gallery) if widest > MANY else 0
    searches = in_chunks(
        rank_some,
        len(wanted),
        width=2 * len(gallery),
        like=gallery,
        memory=memory,
        extra=64 * widest + sorting,
    )
    yield from (ranked for _, ranked in searches)


def ranks_of(
    members: RelevanceIndex, chosen: Tensor, similarity: Float[Tensor, "Q M"], scratch: Tensor
) -> Int[Tensor, "Q R"]:
    """The ranks of what the chosen queries look for; overwrites their similarities."""
    class_size, num_relevant = members.class_size[chosen], members.num_relevant[chosen]
    nth = torch.arange(int(class_size.max()), device=chosen.device).expand(len(chosen), -1)
    filler = nth >= class_size[:, None]
    items = members.of_class[members.first[chosen, None] + nth.masked_fill(filler, 0)]
    irrelevant = filler | (items == members.itself[chosen, None])
    relevant = similarity.gather(1, items).masked_fill_(irrelevant, -torch.inf)
    relevant = relevant.sort(dim=1, descending=True).values[:, : int(num_relevant.max())]
    similarity.scatter_(1, items, -torch.inf)  # what remains to be counted is irrelevant
    nth = torch.arange(1, relevant.shape[1] + 1, device=chosen.device)
    ranks = nth + count_at_least(similarity, relevant, scratch)
    return ranks.masked_fill_(nth > num_relevant[:, None], ABSENT)


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
