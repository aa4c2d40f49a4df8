"""Ranks on the CPU in two stages: a fast product in low precision, and proof where it may err.

A screen says of almost every gallery item whether it comes before or after a relevant one. The
few that are too close to tell are compared exactly. A query with too many of those is screened
again in float32. The ranks are those of exact search, whatever the screens are made of.
"""

from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from evaluation.above import Relevant, above
from evaluation.chunks import in_chunks
from evaluation.exact import Exact
from evaluation.members import Members
from evaluation.parallel import in_parallel
from evaluation.ranking import ABSENT
from evaluation.screen import Screen
from evaluation.space import full_precision

ROWS = 128  # queries at a time: enough for a fast product, few enough for the cache
TOO_MANY = 1 / 12  # share of the gallery from which another product is cheaper than comparing
FIRST, MOST = 256, 8192  # queries of the first round, which shows what a screen is worth

Ranks = tuple[Tensor, Tensor]  # queries, and the ranks of their relevant items


def certified_ranks(
    members: Members,
    wanted: Tensor,
    exact: Exact,
    screen_in: Callable[[torch.dtype], Screen],
    precisions: Sequence[torch.dtype],
    memory: int,
) -> Iterator[Ranks]:
    """Yield the wanted queries, some at a time, and their ranks as in `Ranking`.

    Args:
        precisions: of the screens; each takes what the one before left open, the last all of it.
    """
    left = wanted
    for precision in precisions:
        if len(left):
            share = 1 if precision == precisions[-1] else TOO_MANY
            search = Search(members, exact, screen_in(precision), share, memory)
            left = yield from search.ranks(left)


class Search:
    """The search with one screen; leaves open what has too many doubtful items."""

    def __init__(
        self, members: Members, exact: Exact, screen: Screen, share: float, memory: int
    ) -> None:
        self.members, self.exact, self.screen = members, exact, screen
        self.memory = memory // torch.get_num_threads()
        self.is_last = share == 1
        self.most_doubtful = int(share * len(screen.gallery))
        self.bytes_per_query = 96 * int(members.class_size.max())

    def ranks(self, queries: Tensor) -> Generator[Ranks, None, Tensor]:
        """Yields what it decides and returns the other queries; gives up if it decides few."""
        most = max(1, min(MOST, self.memory // self.bytes_per_query))
        start, size = 0, most if self.is_last else min(FIRST, most)
        undecided = [queries[:0]]
        while start < len(queries) and 2 * sum(map(len, undecided)) <= start:
            now = queries[start : start + size]
            start, size = start + len(now), min(2 * size, most)
            with full_precision(now.device):
                found = in_parallel(self.share, now)
            for some, ranks, decided in found:
                yield some[decided], ranks[decided]
                undecided.append(some[~decided])
        return torch.cat([*undecided, queries[start:]])

    def share(self, queries: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """What one thread finds: queries, their ranks, and which of them are decided."""
        like, width = self.screen.gallery, len(self.screen.gallery)

        def rank_chunk(part: slice, workspace: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            chosen = queries[part]
            return (chosen, *self.chunk(chosen, self.screen.similarities(chosen, workspace)))

        enough = ROWS * (width * like.element_size() + self.bytes_per_query)
        chunks = in_chunks(
            rank_chunk,
            len(queries),
            width=width,
            like=like,
            memory=min(self.memory, enough),
            extra=self.bytes_per_query,
        )
        return [found for _, found in chunks]

    def chunk(self, chosen: Tensor, similarity: Tensor) -> tuple[Tensor, Tensor]:
        """The ranks of the chosen queries, and which of them are decided."""
        rows, items = self.members.pairs(chosen)
        similarity[rows, items] = -torch.inf  # what remains is irrelevant
        others = items != self.members.itself[chosen][rows]
        row, item = rows[others].numpy(), items[others].numpy()
        sizes, queries = self.members.num_relevant[chosen].numpy(), chosen.numpy()
        nth = np.arange(len(row)) - np.repeat(sizes.cumsum() - sizes, sizes)
        apart = np.full((len(chosen), sizes.max()), np.inf)
        apart[row, nth] = -self.exact(queries[row], item)
        apart.sort(axis=1)
        truth = -apart[row, nth]
        relevant = Relevant(row, truth, *self.screen.limits(truth, queries[row]))
        counts, decided = above(
            similarity,
            relevant,
            lambda row, item: self.exact(queries[row], item),
            self.most_doubtful,
        )
        ranks = np.full(apart.shape, ABSENT)
        ranks[row, nth] = counts + nth + 1
        return torch.from_numpy(ranks), torch.from_numpy(decided)
