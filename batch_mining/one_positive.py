"""One positive of each anchor against all its negatives: as N-pair losses are often run."""

import torch

from core.random import SeededRandom
from core.ranges import Seed
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.types import Pairs


class OnePositiveMiner(TupleMiner):
    """One-positive miner: one positive of each anchor, drawn uniformly, and all its negatives.

    An anchor without positives or without negatives keeps nothing. It is the miner `npair` of Roth
    et al., for their N-pair and angular loss. It takes no `distance`: only labels count.

    Args:
        seed: of the miner's own random stream.
    """

    def __init__(self, seed: Seed = 0) -> None:
        super().__init__()
        self.draw = SeededRandom(seed)

    def choose(self, batch: TupleBatch) -> Pairs:
        positives, negatives = batch.pairs()
        complete = positives.any(dim=1, keepdim=True) & negatives.any(dim=1, keepdim=True)
        drawn = self.draw.choice(positives)[:, None]
        one = torch.zeros_like(positives).scatter(1, drawn, True)
        return Pairs(one & complete, negatives & complete)
