"""The hardest part of a batch, as in powerful-benchmarker's `MaximumLossMiner`."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from core.random import SeededRandom
from core.ranges import PositiveFraction, PositiveInt, Seed
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.types import Pairs

Objective = Callable[..., Tensor]  # a criterion


class MaximumLossMiner(TupleMiner):
    """Maximum loss miner: all pairs of the random subset of the batch with the largest loss.

    Several subsets of equal size are drawn without replacement, and the loss is computed on each of
    them. With references, the anchors are drawn, and paired with all references. It costs as many
    losses as there are trials, without a gradient. It takes no `distance`: that of `objective`
    counts.

    Differences:
        pytorch-metric-learning: `MaximumLossMiner` was removed in 2.0.

    Args:
        objective: a loss, called as `objective(embeddings, labels)`, with `references` and
            `reference_labels` where there are any; has no parameters of its own.
        fraction: of the batch in a subset, in (0, 1]; rounded up.
        trials: how many subsets are drawn, >= 1.
        seed: of the miner's own random stream.
    """

    def __init__(
        self,
        objective: Objective,
        fraction: PositiveFraction = 0.5,
        trials: PositiveInt = 5,
        seed: Seed = 0,
    ) -> None:
        super().__init__()
        if not 0 < fraction <= 1:
            raise ValueError(f"fraction must be in (0, 1], got {fraction}")
        if trials < 1:
            raise ValueError(f"trials must be at least 1, got {trials}")
        self.objective = objective
        self.fraction, self.trials = fraction, trials
        self.draw = SeededRandom(seed)

    def choose(self, batch: TupleBatch) -> Pairs:
        embeddings, labels, references = batch.embeddings, batch.labels, batch.references
        against = {"references": references, "reference_labels": batch.reference_labels}
        size = math.ceil(self.fraction * len(labels))
        shuffled = self.draw.uniform(self.trials, len(labels), like=embeddings).argsort(dim=1)
        subsets = shuffled[:, :size]
        losses = [self.objective(embeddings[rows], labels[rows], **against) for rows in subsets]
        hardest = subsets.index_select(0, torch.stack(losses).argmax().view(1))[0]
        chosen = torch.zeros_like(labels, dtype=torch.bool).index_fill(0, hardest, True)
        both = chosen[:, None] if references is not None else chosen[:, None] & chosen
        positives, negatives = batch.pairs()
        return Pairs(positives & both, negatives & both)
