"""The nearest gallery items on the CPU in two stages, as `evaluation.certified` ranks.

Whatever a screen cannot prove to be farther than the k-th nearest is compared exactly; of equally
near items the first comes first.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from evaluation.chunks import in_chunks
from evaluation.exact import Exact, Places, Reals
from evaluation.parallel import in_parallel
from evaluation.screen import Floats, Screen, bits, numbers, truncated
from evaluation.space import full_precision

ROWS = 512  # queries at a time where the gallery is small, such as centroids
CACHED = 2**23  # numbers of a product at a time otherwise
MOST = 1 / 12  # share of the gallery from which another product is cheaper than comparing

Found = tuple[Tensor, Tensor, Tensor]  # queries, their nearest items, which of them are decided


def certified_nearest(
    exact: Exact,
    screen_in: Callable[[torch.dtype], Screen],
    precisions: Sequence[torch.dtype],
    k: int,
    memory: int,
    itself: Int[Tensor, " Q"] | None = None,
) -> Int[Tensor, "Q k"]:
    """Positions in the gallery of the `k` nearest items of every query, nearest first.

    Args:
        precisions: of the screens; each takes what the one before left open, the last all of it.
        k: at most the size of the gallery.
        itself: where each query is in the gallery, -1 for nowhere; it comes last.
    """
    nearest = torch.empty(len(exact.queries), k, dtype=torch.int64)
    left = torch.arange(len(exact.queries))
    for precision in precisions:
        if len(left):
            share = 1 if precision == precisions[-1] else MOST
            memory_each = memory // torch.get_num_threads()
            look = Look(exact, screen_in(precision), k, share, itself, memory_each)
            with full_precision(left.device):
                found = in_parallel(look, left)
            for queries, items, decided in found:
                nearest[queries[decided]] = items[decided]
            left = torch.cat([queries[~decided] for queries, _, decided in found])
    return nearest


class Look:
    """The search of one thread with one screen; leaves open what has too many candidates."""

    def __init__(
        self,
        exact: Exact,
        screen: Screen,
        k: int,
        share: float,
        itself: Int[Tensor, " Q"] | None,
        memory: int,
    ) -> None:
        self.exact, self.screen, self.k, self.itself, self.memory = exact, screen, k, itself, memory
        self.most = max(k, int(share * len(screen.gallery)))

    def __call__(self, queries: Tensor) -> list[Found]:
        like, width = self.screen.gallery, len(self.screen.gallery)
        extra = 8 * width
        rows = min(ROWS, max(1, CACHED // width))
        chunks = in_chunks(
            partial(self.chunk, queries),
            len(queries),
            width=width,
            like=like,
            memory=min(self.memory, rows * (width * like.element_size() + extra)),
            extra=extra,
        )
        # one array for all chunks: small ones of each would keep the large ones between them, which
        # a thread's heap does not give back, and the memory would grow with every chunk
        nearest = np.empty((len(queries), self.k), dtype=np.int64)
        decided = np.empty(len(queries), dtype=bool)
        for part, (items, sure) in chunks:
            nearest[part], decided[part] = items, sure
        return [(queries, torch.from_numpy(nearest), torch.from_numpy(decided))]

    def chunk(
        self, queries: Tensor, part: slice, workspace: Tensor
    ) -> tuple[Places, NDArray[np.bool_]]:
        chosen = queries[part]
        similarity = self.screen.similarities(chosen, workspace)
        if self.itself is not None:
            here = self.itself[chosen]
            inside = (here >= 0).nonzero().squeeze(1)
            similarity[inside, here[inside]] = -torch.inf
        rows, items = self.candidates(chosen.numpy(), similarity)
        count = np.bincount(rows, minlength=len(chosen))
        decided = count <= self.most
        places = count.cumsum() - count  # of the first candidate of each row
        if self.k > 1 or count.max() > 1:
            compared = (decided & (count > 1))[rows]
            r, c = rows[compared], items[compared]
            order = np.lexsort((c, self.distance(chosen.numpy()[r], c), r))
            items[compared] = c[order]
        places = (places[:, None] + np.arange(self.k)).clip(max=len(items) - 1)
        return items[places], decided

    def distance(self, queries: Places, items: Places) -> Reals:
        """What to order by, pair by pair: the query itself is infinitely far."""
        apart = -self.exact(queries, items)
        if self.itself is not None:
            apart[self.itself.numpy()[queries] == items] = np.inf
        return apart

    def candidates(self, queries: Places, similarity: Tensor) -> tuple[Places, Places]:
        """Rows and columns of what may be among the nearest `k`, row by row."""
        if similarity.dtype == torch.bfloat16:
            codes = bits(similarity)
            limit = self.screen.rivals(numbers(self.kth(codes)), queries)
            if (limit > 0).all():  # the bits of negatives run backwards
                return np.divmod(np.flatnonzero(codes >= truncated(limit)[:, None]), codes.shape[1])
        values: Floats = similarity.float().numpy()
        limit = self.screen.rivals(self.kth(values), queries)
        return np.divmod(np.flatnonzero(values >= limit[:, None]), values.shape[1])

    def kth(self, values: NDArray[Any]) -> NDArray[Any]:
        """The k-th largest number of each row."""
        if self.k == 1:
            largest: NDArray[Any] = values.max(axis=1)
            return largest
        return np.partition(values, -self.k, axis=1)[:, -self.k]
