"""Margin loss: Wu et al., Sampling Matters, ICCV 2017, https://arxiv.org/abs/1706.07567."""

from typing import Any

import torch
from torch import Tensor, nn

from core.batch_checks import check_classes
from core.distance import Lp
from core.random_triplets import TripletsPerAnchor, miner_or_random
from core.ranges import NonNegativeFloat, Seed, Size
from core.reducer import LossTerms, NonZeroMean, Reducer
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.types import Distance, Labels, Miner


class Margin(TupleLoss):
    """Margin loss: positive pairs are closer than a learned boundary β, negative pairs farther.

    With d the Euclidean distance of unit vectors and β that of the anchor's class,

        [d - β + margin]₊ of each positive pair,  [β - d + margin]₊ of each negative pair

    plus ν β for each pair, all summed and divided by the number of pairs whose hinge is above zero,
    or by 1 if there are none.

    Differences:
        authors' code: adds ν β once per triplet, half of this.
        Roth et al.: divide by the triplets of which either pair is active; given one triplet per
            anchor, `reducer=PerAnchor(NonZeroMean(), total=True)`. ν other than 0 is an error.
        pytorch-metric-learning: `MarginLoss` counts a pair once per triplet it is part of; one β
            that is not trained; `num_classes=None, learn_beta=False`.

    Args:
        miner: chooses the tuples; None takes all pairs, or those of random triplets.
        margin: in units of `distance`.
        beta: initial β, in units of `distance`.
        num_classes: one β for each class 0..num_classes-1; None has one β for all.
        learn_beta: whether β is trained.
        beta_lr: learning rate of β, which has no weight decay.
        nu: ν >= 0; larger makes β smaller.
        distance: None is the Euclidean distance of unit vectors.
        reducer: of the term `pairs`; None is the mean of those above zero.
        triplets_per_anchor: without a miner and given tuples, of how many random triplets of each
            anchor the pairs count; "all" takes all pairs.
        seed: of the random triplets.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        margin: float = 0.2,
        beta: float = 1.2,
        num_classes: Size | None = None,
        learn_beta: bool = True,
        beta_lr: NonNegativeFloat = 5e-4,
        nu: NonNegativeFloat = 0.0,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
        triplets_per_anchor: TripletsPerAnchor = "all",
        seed: Seed = 0,
    ) -> None:
        miner = miner_or_random(miner, triplets_per_anchor, seed)
        super().__init__(miner, distance or Lp(), reducer or NonZeroMean())
        self.margin, self.nu = margin, nu
        self.num_classes, self.beta_lr = num_classes, beta_lr
        initial = torch.full((num_classes or 1,), float(beta))
        self.beta = nn.Parameter(initial, requires_grad=learn_beta)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.beta], "lr": self.beta_lr, "weight_decay": 0.0}]

    def formula(self, batch: TupleBatch) -> NamedTerms:
        distances = batch.distances()
        positives, negatives = batch.pairs()
        boundary = self._boundary(batch.labels)
        excess = distances - boundary
        pairs = positives | negatives
        hinges = (self.margin + torch.where(positives, excess, -excess)).relu().where(pairs, 0)
        losses = hinges + self.nu * boundary * pairs if self.nu else hinges
        return {"pairs": LossTerms(losses, pairs, hinges > 0)}

    def _boundary(self, labels: Labels) -> Tensor:
        """β of each anchor, (N, 1), or (1,) if they share it."""
        if self.num_classes is None:
            return self.beta
        check_classes(labels, self.num_classes)
        return self.beta[labels.long()][:, None]
