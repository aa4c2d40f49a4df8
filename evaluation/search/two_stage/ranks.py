"""The rank of every relevant item by two-stage search."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from core.types import Embeddings
from evaluation.metrics.ranking import ABSENT
from evaluation.search.relevance_index import RelevanceIndex
from evaluation.search.space import Distance
from evaluation.search.two_stage.count_closer import Relevant, relevant_ranks
from evaluation.search.two_stage.low_precision import Bound, Codes, products
from evaluation.search.two_stage.search import Indices, two_stage_search
from evaluation.search.two_stage.similarity import Points

MOST = 8192  # queries of a round
PER_RANK = 96  # bytes that a rank needs here and where metrics are computed from it

Ranks = tuple[Tensor, Tensor]  # queries, and the ranks of their relevant items


def two_stage_ranks(
    members: RelevanceIndex,
    wanted: Tensor,
    queries: Embeddings,
    gallery: Embeddings,
    distance: Distance,
    precisions: Sequence[torch.dtype],
    memory: int,
) -> Iterator[Ranks]:
    """Yield the wanted queries, some at a time, and their ranks as in `Ranking`.

    Args:
        precisions: of the product, rising; see `two_stage_search`.
    """
    if len(wanted) == 0:
        return
    points = Points(queries.numpy(), gallery.numpy(), distance == "euclidean")
    indices = (members.of_class, members.first, members.class_size, members.itself)
    relevant = Relevant(*(index.numpy() for index in indices))

    def resolve(codes: Codes, shift: int, chosen: Indices, bound: Bound, ranks: Indices) -> int:
        return relevant_ranks(codes, shift, chosen, points, relevant, bound, ranks)

    def new_ranks(chosen: Tensor) -> Indices:
        return np.full((len(chosen), int(members.num_relevant[chosen].max())), ABSENT)

    bytes_per_query = PER_RANK * int(members.class_size.max())
    yield from two_stage_search(
        products(queries, gallery, distance, precisions),
        wanted,
        resolve,
        new_ranks,
        memory,
        most=max(1, min(MOST, memory // bytes_per_query)),
    )
