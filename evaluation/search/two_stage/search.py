"""Search on the CPU in two stages: a fast product in low precision, float64 where that may err.

The product says of almost every gallery item whether it comes before or after another. The few
items that are too close to tell are ambiguous and are compared in float64, so that the result is
that of exact search, whatever the precision of the product, the number of threads and the memory.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.search.chunks import in_chunks
from evaluation.search.parallel import in_parallel
from evaluation.search.space import full_precision
from evaluation.search.two_stage.low_precision import Bound, Codes, LowPrecision

SIMILARITIES = 2**20  # of one thread at a time: they stay in its cache
FEWEST, MOST = 64, 512  # queries of a product: enough to be fast, few enough for the cache
FIRST = 4096  # queries of the first round, which shows what a precision is worth
TOO_MANY = 1 / 12  # ambiguous share of the similarities from which more precision is cheaper

Indices = NDArray[np.int64]
Product = Callable[[], LowPrecision]
# (similarities as bits, shift of `value_of`, indices of the queries, bound, results to write, one
# row per query) -> number of ambiguous items
Resolve = Callable[[Codes, int, Indices, Bound, Indices], int]


def two_stage_search(
    products: Sequence[Product],
    queries: Tensor,
    resolve: Resolve,
    new_results: Callable[[Tensor], Indices],
    memory: int,
    most: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the queries, a round of at most `most` at a time, and their results.

    Args:
        products: in rising precision; the next one is made and used once too many items are
            ambiguous. The first rounds are small, to try the precision.
        queries: indices (Q,).
        resolve: turns the similarities of a chunk of queries into their results.
        new_results: of a round of queries, the array that `resolve` writes, one row per query.
        memory: working memory in bytes of all threads together.
    """
    product, finer = products[0](), list(products[1:])
    size = min(FIRST, most) if finer else most
    while len(queries):
        chosen, queries = queries[:size], queries[size:]
        results = new_results(chosen)
        ambiguous = search_round(product, chosen, resolve, results, memory)
        yield chosen, torch.from_numpy(results)
        if finer and ambiguous > TOO_MANY * len(chosen) * len(product.gallery):
            product = finer.pop(0)()
        size = min(2 * size, most)


def search_round(
    product: LowPrecision, queries: Tensor, resolve: Resolve, results: Indices, memory: int
) -> int:
    """Write the results of the queries, in all threads; returns the number of ambiguous items."""
    like, width = product.gallery, len(product.gallery)
    shift = 16 if like.dtype == torch.bfloat16 else 0
    rows = min(MOST, max(FEWEST, SIMILARITIES // width))
    memory = min(memory // torch.get_num_threads(), rows * width * like.element_size())

    def share(places: Tensor) -> list[int]:
        def resolve_chunk(part: slice, workspace: Tensor) -> int:
            chosen = queries[places[part]]
            written = results[places[0] + part.start : places[0] + part.stop]
            codes = product.codes(chosen, out=workspace)
            return resolve(codes, shift, chosen.numpy(), product.bound, written)

        chunks = in_chunks(resolve_chunk, len(places), width=width, like=like, memory=memory)
        return [ambiguous for _, ambiguous in chunks]

    with full_precision(queries.device):
        return sum(in_parallel(share, torch.arange(len(queries))))
