"""Triplets within one class: Milbich et al., DiVA, ECCV 2020, https://arxiv.org/abs/2004.13458."""

from core.random import SeededRandom
from core.ranges import Seed
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.tuples import one_triplet_per_anchor, with_fallback
from core.types import Triplets


class IntraRandomMiner(TupleMiner):
    """Intra-class random miner: two other samples of the anchor's class, each drawn uniformly.

    The second takes the place of the negative, so that the loss learns what varies within classes.
    The two differ where the class is large enough; at two samples per class they are the same, and
    a triplet loss has no gradient. An anchor alone in its class gives no triplet. It takes no
    `distance`: only labels count.

    Differences:
        Roth et al.: draw N classes with equal odds, and of each three samples with replacement,
            which may all be the same.

    Args:
        seed: of the miner's own random stream.
    """

    def __init__(self, seed: Seed = 0) -> None:
        super().__init__()
        self.draw = SeededRandom(seed)

    def choose(self, batch: TupleBatch) -> Triplets:
        positives = batch.pairs().positives
        first = self.draw.choice(positives)
        others = with_fallback(positives.scatter(1, first[:, None], False), positives)
        return one_triplet_per_anchor(first, self.draw.choice(others), where=positives.any(dim=1))
