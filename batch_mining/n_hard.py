"""Several hard tuples per anchor, as in open-metric-learning's `NHardTripletsMiner`."""

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Len

from core.ranges import PositiveInt
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.types import Distance, Distances, Mask, Pairs

Ranks = PositiveInt | Annotated[Sequence[PositiveInt], Len(2, 2)]


class NHardMiner(TupleMiner):
    """N-hard miner: the farthest positives and the nearest negatives of each anchor, all combined.

    One of each is batch hard. A range of ranks, such as [2, 5], leaves out the very hardest, which
    are often wrong labels; it begins at 1 and includes both ends. An anchor has fewer where the
    batch has fewer, and an anchor that then has no positive or no negative gives no tuples.

    Args:
        positives: how many, or the first and the last rank, 1 being the farthest.
        negatives: the same, 1 being the nearest.
        distance: None is the Euclidean distance of unit vectors.
    """

    def __init__(
        self, positives: Ranks = 1, negatives: Ranks = 1, distance: Distance | None = None
    ) -> None:
        super().__init__(distance)
        self.positives = _ranks("positives", positives)
        self.negatives = _ranks("negatives", negatives)

    def choose(self, batch: TupleBatch) -> Pairs:
        distances, (positives, negatives) = batch.distances(), batch.pairs()
        positives = ranked(distances, positives, *self.positives)
        negatives = ranked(-distances, negatives, *self.negatives)
        complete = positives.any(dim=1, keepdim=True) & negatives.any(dim=1, keepdim=True)
        return Pairs(positives & complete, negatives & complete)


def ranked(hardness: Distances, candidates: Mask, first: int, last: int) -> Mask:
    """The candidates of each row from rank `first` to rank `last`, the hardest having rank 1."""
    keys = hardness.masked_fill(~candidates, -torch.inf)
    columns = keys.topk(min(last, keys.shape[1]), dim=1).indices[:, first - 1 :]
    return torch.zeros_like(candidates).scatter(1, columns, True) & candidates


def _ranks(name: str, ranks: Ranks) -> tuple[int, int]:
    first, last = (1, ranks) if isinstance(ranks, int) else ranks
    if not 1 <= first <= last:
        raise ValueError(f"{name} must be a number or a range of ranks from 1, got {ranks}")
    return first, last
