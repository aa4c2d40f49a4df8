"""Ranks on the CPU in two stages: a fast product in low precision, and proof where it may err.

A screen says of almost every gallery item whether it comes before or after a relevant one. The
few that are too close to tell are compared exactly. A query with too many of those is screened
again in float32. The ranks are those of exact search, whatever the screens are made of.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.chunks import in_chunks
from evaluation.exact import Exact, Places, Reals
from evaluation.members import Members
from evaluation.parallel import in_parallel
from evaluation.ranking import ABSENT
from evaluation.screen import Floats, Screen, bits, truncated
from evaluation.space import full_precision

ROWS = 128  # queries at a time: enough for a fast product, few enough for the cache
TOO_MANY = 1 / 12  # share of the gallery from which another product is cheaper than comparing
FIRST, MOST = 256, 8192  # queries of the first round, which shows what a screen is worth

Numbers = NDArray[Any]  # float32, or bits of bfloat16 as int16
Ranks = tuple[Tensor, Tensor]  # queries, and the ranks of their relevant items


def certified_ranks(
    members: Members,
    exact: Exact,
    screen_in: Callable[[torch.dtype], Screen],
    precisions: Sequence[torch.dtype],
    memory: int,
) -> Iterator[Ranks]:
    """Yield the queries, some at a time, and the ranks of their relevant items, as in `Ranking`.

    Args:
        precisions: of the screens; each takes what the one before left open, the last all of it.
    """
    left = members.answerable()
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
        self.most_doubtful = int(share * len(screen.gallery))
        self.bytes_per_query = 96 * int(members.class_size.max())

    def ranks(self, queries: Tensor) -> Generator[Ranks, None, Tensor]:
        """Yields what it decides and returns the other queries; gives up if it decides few."""
        most = max(1, min(MOST, self.memory // self.bytes_per_query))
        start, size = 0, min(FIRST, most)
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
        truth = self.exact(chosen.numpy()[row], item)
        truth = truth[np.lexsort((truth, row))]  # ascending in each row
        limits = self.screen.limits(truth, chosen.numpy()[row])
        sizes = self.members.num_relevant[chosen].numpy()
        ranks = np.full((len(chosen), sizes.max()), ABSENT)
        decided = np.ones(len(chosen), dtype=bool)
        comparable = Comparable(similarity, *limits)
        ends = sizes.cumsum()
        for n, query in enumerate(chosen.tolist()):
            own, size = slice(ends[n] - sizes[n], ends[n]), sizes[n]
            above = self.above(*comparable.row(n, own), truth[own], query)
            if above is None:
                decided[n] = False
            else:
                ranks[n, :size] = above[::-1] + np.arange(1, size + 1)
        return torch.from_numpy(ranks), torch.from_numpy(decided)

    def above(
        self, numbers: Numbers, low: Numbers, high: Numbers, truth: Reals, query: int
    ) -> Places | None:
        """How many items are at least as near as each relevant one; None if that is costly.

        Args:
            numbers: similarities from the screen; below low[r] an item is farther than relevant
                item r, above high[r] nearer.
            truth: similarities of the relevant items, ascending.
        """
        found = np.flatnonzero(numbers >= low[0])
        near = numbers[found]
        beaten = high.searchsorted(near)
        doubtful = np.flatnonzero(low.searchsorted(near, "right") != beaten)
        if len(doubtful) > self.most_doubtful:
            return None
        if len(doubtful):
            beaten[doubtful] = truth.searchsorted(self.exact(query, found[doubtful]), "right")
        above: Places = len(found) - np.bincount(beaten, minlength=len(truth) + 1)[:-1].cumsum()
        return above


class Comparable:
    """Similarities and limits that NumPy compares fast: bfloat16 by its bits where positive."""

    def __init__(self, similarity: Tensor, low: Floats, high: Floats) -> None:
        self.similarity, self.limits = similarity, (low, high)
        self.bits: Numbers | None = None
        if similarity.dtype == torch.bfloat16:
            self.bits = bits(similarity)
            self.bit_limits = truncated(low), truncated(high)

    def row(self, row: int, own: slice) -> tuple[Numbers, Numbers, Numbers]:
        """One row and the limits of its relevant items; the bits of negatives run backwards."""
        low, high = self.limits
        if self.bits is None or low[own.start] <= 0:
            return self.similarity[row].float().numpy(), low[own], high[own]
        low_bits, high_bits = self.bit_limits
        return self.bits[row], low_bits[own], high_bits[own]
