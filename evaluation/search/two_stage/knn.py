"""Two-stage k-NN search: the nearest gallery items of every query."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from core.types import Embeddings
from evaluation.search.ignored_items import IgnoredItems
from evaluation.search.parallel import WorkerThreads
from evaluation.search.space import Distance
from evaluation.search.two_stage.ignored import nothing_ignored, to_arrays
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
    ignored: IgnoredItems | None = None,
    workers: WorkerThreads | None = None,
) -> Int[Tensor, "Q k"]:
    """Two-stage k-NN search: gallery positions of the `k` nearest items, nearest first.

    At equal distance, the item with the lower position comes first.

    Args:
        k: number of neighbours, at most the size of the gallery.
        products: products of queries and gallery in ascending precision; see `two_stage_search`.
        ignored: items that each query ignores, which come last; None means no items.
        workers: see `two_stage_search`.
    """
    points = Points(queries.numpy(), gallery.numpy(), distance == "euclidean")
    left_out = to_arrays(ignored) if ignored else nothing_ignored(len(queries), len(gallery))

    def resolve(bits: Bits, shift: int, selected: Indices, bound: Bound, nearest: Indices) -> int:
        return select_nearest(bits, shift, selected, points, left_out, bound, nearest)

    def new_nearest(selected: Tensor) -> Indices:
        return np.empty((len(selected), k), dtype=np.int64)

    all_queries = torch.arange(len(queries))
    round_size = max(1, len(queries))
    rounds = two_stage_search(
        products, all_queries, resolve, new_nearest, memory, round_size, workers
    )
    return torch.cat([nearest for _, nearest in rounds])
