"""VICReg with labels: Bardes et al., ICLR 2022, https://arxiv.org/abs/2105.04906."""

from typing import ClassVar

import torch
from torch import Tensor

from core.distance import Lp, to_float32
from core.ranges import NonNegativeFloat
from core.tuple_batch import TupleBatch
from core.tuple_loss import TupleLoss
from core.types import Embeddings, Scalar

EPSILON = 1e-4  # added to the variances, as in the paper


class VICReg(TupleLoss):
    """VICReg loss: variance, invariance and covariance regularization; it needs no negatives.

    Of the N embeddings Z as they are, of D dimensions, and the references Z', which are Z itself if
    there are none,

        s = mean of |z - z'|² / D over the positive pairs                 invariance
        v = 1/D Σ_d [1 - √(Var_d + 1e-4)]₊                                variance
        c = 1/D Σ_{d ≠ e} Cov_de²                                         covariance

    and the loss is λ s + μ (v(Z) + v(Z')) + ν (c(Z) + c(Z')); Var and Cov divide by N - 1. The
    paper has two views of each image, that is `references` of the same N labels, all different;
    with labels, every positive pair counts as two views. A batch without positives has s = 0.
    Negatives do not count, so there is no miner; given tuples choose the positives. It takes no
    `distance`: all three parts are of coordinates.

    Differences:
        Bardes et al.: s of the text is a sum over dimensions, that of the algorithm and of the code
            a mean, as here; the code halves v, `variance=12.5`.
        pytorch-metric-learning: `VICRegLoss` is as the authors' code, for two views without labels.

    Args:
        invariance: λ.
        variance: μ.
        covariance: ν.
    """

    needs_positives: ClassVar[bool] = True  # in the batch; it takes no miner that would say so

    def __init__(
        self,
        invariance: NonNegativeFloat = 25.0,
        variance: NonNegativeFloat = 25.0,
        covariance: NonNegativeFloat = 1.0,
    ) -> None:
        super().__init__(None, Lp(power=2, normalize=False))
        self.invariance, self.variance, self.covariance = invariance, variance, covariance

    def formula(self, batch: TupleBatch) -> Scalar:
        distances = batch.distances()
        positives = batch.pairs().positives
        apart = distances.where(positives, 0).sum() / positives.sum().clamp(min=1)
        own = self._spread(batch.embeddings)
        other = own if batch.references is None else self._spread(batch.references)
        return self.invariance * apart / batch.embeddings.shape[1] + own + other

    def _spread(self, embeddings: Embeddings) -> Tensor:
        """μ v + ν c."""
        with torch.autocast(embeddings.device.type, enabled=False):
            centred = to_float32(embeddings)
            centred = centred - centred.mean(dim=0)
            covariances = centred.T @ centred / max(len(centred) - 1, 1)
        variances = covariances.diagonal()
        too_narrow = (1 - (variances + EPSILON).sqrt()).relu().mean()
        alike = covariances.square().sum() - variances.square().sum()
        return self.variance * too_narrow + self.covariance * alike / len(variances)
