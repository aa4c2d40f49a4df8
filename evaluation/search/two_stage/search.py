"""Search on the CPU in two stages: a fast product in low precision, float64 where that may err.

The product says of almost every gallery item whether it comes before or after another. The few
items that are too close to tell are ambiguous and are compared in float64, so that the result is
that of exact search, whatever the precision of the product, the number of threads and the memory.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.search.chunks import in_chunks
from evaluation.search.parallel import WorkerThreads
from evaluation.search.space import full_precision
from evaluation.search.two_stage.low_precision import Bits, Bound, LowPrecisionProduct

CHUNK_SIMILARITIES = 2**20  # of one thread at a time: they stay in its cache
# queries of one matrix product: enough to be fast, few enough for the cache
MIN_CHUNK_QUERIES, MAX_CHUNK_QUERIES = 64, 512
FIRST_ROUND = 4096  # queries of the first round, which shows the ambiguous share of a precision
MAX_AMBIGUOUS = 1 / 12  # share of the similarities from which a higher precision is cheaper

Indices = NDArray[np.int64]
MakeProduct = Callable[[], LowPrecisionProduct]
# (similarities as bits, shift of `bits_to_float`, indices of the queries, bound, results to write,
# one row per query) -> number of ambiguous items
Resolve = Callable[[Bits, int, Indices, Bound, Indices], int]


def two_stage_search(
    products: Sequence[MakeProduct],
    queries: Tensor,
    resolve: Resolve,
    new_results: Callable[[Tensor], Indices],
    memory: int,
    round_size: int,
    workers: WorkerThreads | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the queries, a round of at most `round_size` at a time, and their results.

    Args:
        products: in rising precision; the next one is made and used once too many items are
            ambiguous. The first rounds are small, to try the precision.
        queries: indices (Q,).
        resolve: turns the similarities of a chunk of queries into their results.
        new_results: makes the array for a round of queries that `resolve` fills, one row per query.
        memory: working memory in bytes of all threads together.
        workers: threads that already run; None starts them for each round.
    """
    product, more_precise = products[0](), list(products[1:])
    size = min(FIRST_ROUND, round_size) if more_precise else round_size
    while len(queries):
        selected, queries = queries[:size], queries[size:]
        results = new_results(selected)
        with nullcontext(workers) if workers else WorkerThreads() as threads:
            ambiguous = search_round(product, selected, resolve, results, memory, threads)
        yield selected, torch.from_numpy(results)
        if more_precise and ambiguous > MAX_AMBIGUOUS * len(selected) * len(product.gallery):
            product = more_precise.pop(0)()
        size = min(2 * size, round_size)


def search_round(
    product: LowPrecisionProduct,
    queries: Tensor,
    resolve: Resolve,
    results: Indices,
    memory: int,
    workers: WorkerThreads,
) -> int:
    """Write the results of the queries, in all threads; returns the number of ambiguous items."""
    gallery, num_items = product.gallery, len(product.gallery)
    shift = 16 if gallery.dtype == torch.bfloat16 else 0
    rows = min(MAX_CHUNK_QUERIES, max(MIN_CHUNK_QUERIES, CHUNK_SIMILARITIES // num_items))
    memory = min(memory // workers.num, rows * num_items * gallery.element_size())

    def search_share(positions: Tensor) -> list[int]:
        def resolve_chunk(part: slice, workspace: Tensor) -> int:
            selected = queries[positions[part]]
            written = results[positions[0] + part.start : positions[0] + part.stop]
            bits = product.similarity_bits(selected, out=workspace)
            return resolve(bits, shift, selected.numpy(), product.bound, written)

        chunks = in_chunks(
            resolve_chunk, len(positions), width=num_items, like=gallery, memory=memory
        )
        return [ambiguous for _, ambiguous in chunks]

    with full_precision(queries.device):
        return sum(workers.map(search_share, torch.arange(len(queries))))
