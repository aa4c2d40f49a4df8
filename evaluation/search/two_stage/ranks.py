"""Two-stage rank search: the rank of every relevant item."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from core.types import Embeddings
from evaluation.metrics.ranking import ABSENT
from evaluation.search.relevance_index import RelevanceIndex
from evaluation.search.space import Distance
from evaluation.search.two_stage.count_closer import RelevantItems, write_ranks
from evaluation.search.two_stage.ignored import to_arrays
from evaluation.search.two_stage.low_precision import Bits, Bound, products
from evaluation.search.two_stage.search import Indices, two_stage_search
from evaluation.search.two_stage.similarity import Points

MAX_ROUND = 8192  # largest number of queries of a round
BYTES_PER_RANK = 96  # memory per rank, here and in the metrics

Ranks = tuple[Tensor, Tensor]  # queries, and the ranks of their relevant items


def two_stage_ranks(
    relevance: RelevanceIndex,
    remaining: Tensor,
    queries: Embeddings,
    gallery: Embeddings,
    distance: Distance,
    precisions: Sequence[torch.dtype],
    memory: int,
) -> Iterator[Ranks]:
    """Yield the remaining queries in rounds, and their ranks as in `Ranking`.

    Args:
        precisions: precisions of the product, ascending; see `two_stage_search`.
    """
    if len(remaining) == 0:
        return
    points = Points(queries.numpy(), gallery.numpy(), distance == "euclidean")
    of_class, first, size = (
        index.numpy() for index in (relevance.of_class, relevance.first, relevance.class_size)
    )
    relevant = RelevantItems(of_class, first, size, to_arrays(relevance.ignored))

    def resolve(bits: Bits, shift: int, selected: Indices, bound: Bound, ranks: Indices) -> int:
        return write_ranks(bits, shift, selected, points, relevant, bound, ranks)

    def new_ranks(selected: Tensor) -> Indices:
        return np.full((len(selected), int(relevance.num_relevant[selected].max())), ABSENT)

    bytes_per_query = BYTES_PER_RANK * int(relevance.class_size.max())
    yield from two_stage_search(
        products(queries, gallery, distance, precisions),
        remaining,
        resolve,
        new_ranks,
        memory,
        round_size=max(1, min(MAX_ROUND, memory // bytes_per_query)),
    )
