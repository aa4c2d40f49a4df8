"""Pairs spread over distances, as in pytorch-metric-learning's `UniformHistogramMiner`."""

import torch
from torch import Tensor

from core.random import SeededRandom
from core.ranges import PositiveInt, Seed, Size
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.types import Distance, Distances, Mask, Pairs


class UniformHistogramMiner(TupleMiner):
    """Uniform histogram miner: equally many positive and equally many negative pairs per distance.

    The distances of all positive pairs fall into bins of equal width between the least and the
    greatest of the batch; from each bin, up to `positives_per_bin` are drawn without replacement.
    The negative pairs likewise. An anchor may have only one kind. It takes one sort of all pairs,
    O(N M log(N M)).

    Differences:
        pytorch-metric-learning: `UniformHistogramMiner` draws with replacement, so that a pair of a
            bin with few counts several times.

    Args:
        num_bins: of each kind.
        positives_per_bin: most positive pairs of a bin.
        negatives_per_bin: most negative pairs of a bin.
        distance: None is the Euclidean distance of unit vectors.
        seed: of the miner's own random stream.
    """

    def __init__(
        self,
        num_bins: Size = 100,
        positives_per_bin: PositiveInt = 10,
        negatives_per_bin: PositiveInt = 10,
        distance: Distance | None = None,
        seed: Seed = 0,
    ) -> None:
        super().__init__(distance)
        for name, value in {
            "num_bins": num_bins,
            "positives_per_bin": positives_per_bin,
            "negatives_per_bin": negatives_per_bin,
        }.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.num_bins = num_bins
        self.positives_per_bin, self.negatives_per_bin = positives_per_bin, negatives_per_bin
        self.draw = SeededRandom(seed)

    def choose(self, batch: TupleBatch) -> Pairs:
        distances, (positives, negatives) = batch.distances(), batch.pairs()
        return Pairs(
            self._spread(distances, positives, self.positives_per_bin),
            self._spread(distances, negatives, self.negatives_per_bin),
        )

    def _spread(self, distances: Distances, candidates: Mask, per_bin: int) -> Mask:
        """Shuffle the candidates within their bins and keep the first ones of each."""
        bins = bins_of(distances, candidates, self.num_bins).flatten()
        keys, order = (bins + self.draw.uniform(len(bins), like=bins)).sort()
        starts = torch.searchsorted(
            keys, torch.arange(self.num_bins + 1, device=bins.device).double()
        )
        ranks = torch.arange(len(bins), device=bins.device) - starts[keys.long()]
        kept = torch.zeros_like(candidates).flatten().scatter(0, order, ranks < per_bin)
        return kept.view_as(candidates) & candidates


def bins_of(distances: Distances, candidates: Mask, num_bins: int) -> Tensor:
    """Bin of each candidate, 0..num_bins-1; `num_bins` for all that are none."""
    least = distances.masked_fill(~candidates, torch.inf).amin()
    greatest = distances.masked_fill(~candidates, -torch.inf).amax()
    width = ((greatest - least) / num_bins).clamp(min=torch.finfo(distances.dtype).tiny)
    bins = ((distances - least) / width).clamp(0, num_bins - 1).long()
    return bins.masked_fill(~candidates, num_bins)
