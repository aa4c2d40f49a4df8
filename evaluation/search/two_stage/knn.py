"""The nearest gallery items of every query by two-stage search."""

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
    """Positions in the gallery of the `k` nearest items of every query, nearest first.

    Of equally near items the first comes first.

    Args:
        k: at most the size of the gallery.
        products: of the queries and the gallery in rising precision; see `two_stage_search`.
        self_index: where each query is in the gallery, -1 for nowhere; it comes last.
        workers: see `two_stage_search`.
    """
    points = Points(queries.numpy(), gallery.numpy(), distance == "euclidean")
    itself = np.full(len(queries), -1) if self_index is None else self_index.numpy()

    def resolve(bits: Bits, shift: int, selected: Indices, bound: Bound, nearest: Indices) -> int:
        return select_nearest(bits, shift, selected, points, itself, bound, nearest)

    def new_nearest(selected: Tensor) -> Indices:
        return np.empty((len(selected), k), dtype=np.int64)

    all_queries = torch.arange(len(queries))
    round_size = max(1, len(queries))
    found = two_stage_search(
        products, all_queries, resolve, new_nearest, memory, round_size, workers
    )
    return torch.cat([nearest for _, nearest in found])
