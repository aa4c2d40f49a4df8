"""Pairs beyond a margin, as in pytorch-metric-learning's `PairMarginMiner`."""

from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.types import Distance, Pairs


class PairMarginMiner(TupleMiner):
    """Pair margin miner: positives beyond one distance, and negatives within another.

        positive (i, j) if d(i, j) > positive_margin
        negative (i, j) if d(i, j) < negative_margin

    Positives and negatives are chosen independently: an anchor may have only one kind.

    Differences:
        pytorch-metric-learning: `PairMarginMiner`, the same.

    Args:
        positive_margin: in units of `distance`.
        negative_margin: the same.
        distance: None is the Euclidean distance of unit vectors.
    """

    def __init__(
        self,
        positive_margin: float = 0.2,
        negative_margin: float = 0.8,
        distance: Distance | None = None,
    ) -> None:
        super().__init__(distance)
        self.positive_margin, self.negative_margin = positive_margin, negative_margin

    def choose(self, batch: TupleBatch) -> Pairs:
        distances, (positives, negatives) = batch.distances(), batch.pairs()
        return Pairs(
            positives=positives & (distances > self.positive_margin),
            negatives=negatives & (distances < self.negative_margin),
        )
