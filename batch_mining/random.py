"""Random triplets: the baseline of every mining experiment."""

import torch
from torch import Tensor

from core.random import SeededRandom
from core.ranges import Seed
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.tuples import one_triplet_per_anchor
from core.types import Mask, Triplets


class RandomMiner(TupleMiner):
    """Random miner: one positive and one negative of each anchor, each drawn uniformly.

    An anchor without positives or without negatives gives no triplet. It takes no `distance`: only
    labels count.

    Differences:
        Roth et al.: draw N triplets from the list of all, without replacement, so that a sample of
            a large class is an anchor more often; `per_anchor=False` draws them with replacement.

    Args:
        seed: of the miner's own random stream.
        per_anchor: whether each sample is the anchor of one triplet; if not, N triplets are drawn,
            with replacement and all equally likely.
    """

    def __init__(self, seed: Seed = 0, per_anchor: bool = True) -> None:
        super().__init__()
        self.per_anchor, self.draw = per_anchor, SeededRandom(seed)

    def choose(self, batch: TupleBatch) -> Triplets:
        positives, negatives = batch.pairs()
        anchors = self._anchors(positives, negatives)
        positives, negatives = positives[anchors], negatives[anchors]
        triplets = one_triplet_per_anchor(
            self.draw.choice(positives),
            self.draw.choice(negatives),
            where=positives.any(dim=1) & negatives.any(dim=1),
        )
        return triplets._replace(anchors=anchors[triplets.anchors])

    def _anchors(self, positives: Mask, negatives: Mask) -> Tensor:
        """Each sample once, or N drawn by how many triplets they are the anchor of, (N,)."""
        if self.per_anchor:
            return torch.arange(len(positives), device=positives.device)
        triplets = positives.sum(dim=1) * negatives.sum(dim=1)
        drawn: Tensor = self.draw(triplets.log().expand(len(triplets), -1))
        return drawn
