"""Two-stage search on the CPU: a fast low-precision product, then float64 for ambiguous items.

The error bound of the product decides the order of almost all gallery items. The few items whose
similarities differ by less than the bound are ambiguous and are compared in float64. The result is
therefore exact and does not depend on the precision of the product, the number of threads or the
memory.
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

CHUNK_SIMILARITIES = 2**20  # similarities of one thread at a time: they fit its cache
# queries of one matrix product: enough for speed, few enough for the cache
MIN_CHUNK_QUERIES, MAX_CHUNK_QUERIES = 64, 512
FIRST_ROUND = 4096  # queries of the first round, which measures the share of ambiguous items
MAX_AMBIGUOUS = 1 / 12  # share of ambiguous items above which a higher precision is faster

Indices = NDArray[np.int64]
MakeProduct = Callable[[], LowPrecisionProduct]
# (bits of the similarities, shift of `bits_to_float`, indices of the queries, error bound, results
# to write, one row per query) -> number of ambiguous items
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
    """Two-stage search: yield the queries in rounds of at most `round_size`, and their results.

    Args:
        products: in ascending precision; the next one is used once too many items are ambiguous.
            The first rounds are small, to measure the share of ambiguous items.
        queries: indices (Q,).
        resolve: computes the results of a chunk of queries from their similarities.
        new_results: allocates the results of a round, one row per query, for `resolve` to fill.
        memory: working memory in bytes of all threads together.
        round_size: largest number of queries of a round.
        workers: running worker threads; None starts new ones for each round.
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
    """Write the results of the queries, in all threads; return the number of ambiguous items."""
    gallery, num_items = product.gallery, len(product.gallery)
    shift = 16 if gallery.dtype == torch.bfloat16 else 0
    rows = min(MAX_CHUNK_QUERIES, max(MIN_CHUNK_QUERIES, CHUNK_SIMILARITIES // num_items))
    memory = min(memory // workers.num, rows * num_items * gallery.element_size())

    def search_share(positions: Tensor) -> list[int]:
        def resolve_chunk(part: slice, workspace: Tensor) -> int:
            selected = queries[positions[part]]
            chunk_results = results[positions[0] + part.start : positions[0] + part.stop]
            bits = product.similarity_bits(selected, out=workspace)
            return resolve(bits, shift, selected.numpy(), product.bound, chunk_results)

        chunks = in_chunks(
            resolve_chunk, len(positions), width=num_items, like=gallery, memory=memory
        )
        return [ambiguous for _, ambiguous in chunks]

    with full_precision(queries.device):
        return sum(workers.map(search_share, torch.arange(len(queries))))
