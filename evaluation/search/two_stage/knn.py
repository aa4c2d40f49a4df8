"""Two-stage k-NN search: the nearest gallery items of every query."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from core.types import Embeddings
from evaluation.search.parallel import WorkerThreads
from evaluation.search.space import Distance
from evaluation.search.two_stage.low_precision import Bits, Bound
from evaluation.search.two_stage.search import Indices, MakeProduct, two_stage_search
from evaluation.search.two_stage.select_nearest import select_nearest
from evaluation.search.two_stage.similarity import Points


def two_stage_knn(
    queries: Embeddings,
    gallery: Embeddings,
    k: int,
    distance: Distance,
    products: Sequence[MakeProduct],
    memory: int,
    self_index: Int[Tensor, " Q"] | None = None,
    workers: WorkerThreads | None = None,
) -> Int[Tensor, "Q k"]:
    """Two-stage k-NN search: gallery positions of the `k` nearest items, nearest first.

    At equal distance, the item with the lower position comes first.

    Args:
        k: number of neighbours, at most the size of the gallery.
        products: products of queries and gallery in ascending precision; see `two_stage_search`.
        self_index: gallery position of each query, -1 if it is not in the gallery; the query itself
            comes last.
        workers: see `two_stage_search`.
    """
    points = Points(queries.numpy(), gallery.numpy(), distance == "euclidean")
    self_positions = np.full(len(queries), -1) if self_index is None else self_index.numpy()

    def resolve(bits: Bits, shift: int, selected: Indices, bound: Bound, nearest: Indices) -> int:
        return select_nearest(bits, shift, selected, points, self_positions, bound, nearest)

    def new_nearest(selected: Tensor) -> Indices:
        return np.empty((len(selected), k), dtype=np.int64)

    all_queries = torch.arange(len(queries))
    round_size = max(1, len(queries))
    rounds = two_stage_search(
        products, all_queries, resolve, new_nearest, memory, round_size, workers
    )
    return torch.cat([nearest for _, nearest in rounds])
