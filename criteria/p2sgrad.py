"""P2SGrad: Zhang et al., CVPR 2019, https://arxiv.org/abs/1905.02479."""

from typing import Any

import torch
from torch import nn

from core.batch_checks import check_targets
from core.classification import Initializer, class_cosines, init_prototypes, loss_over_samples
from core.ranges import NonNegativeFloat, Size
from core.reducer import Mean, Reducer
from core.regularizer import Regularizer
from core.types import Embeddings, Logits, Scalar, Targets, Tuples


class P2SGrad(nn.Module):
    """P2SGrad: regresses the cosine with the true class to 1 and with all other classes to 0.

        ½ Σ_c (cos θ_c - [c is the label])²

    with θ_c the angle between the embedding and the prototype of class c, the closest if it has
    several; averaged over the batch. Given `tuples` weigh each sample by how often they name it.
    The paper states the gradient, Σ_c (cos θ_c - [c is the label]) ∇cos θ_c, of which this is the
    integral; there is no scale and no margin. The logits are the cosines. Soft labels replace the
    bracket. The targets 1 and 0 are those of a cosine, so that no other `distance` can be chosen.

    Differences:
        pytorch-metric-learning: `P2SGradLoss` takes the mean of the squares over the classes
            instead of half their sum; `average=True`.

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        lr: learning rate of the prototypes, which have no weight decay.
        average: mean over the classes instead of half the sum.
        num_sub_centers: prototypes per class, K >= 1.
        regularizer: of the prototypes.
        reducer: of the term `samples`; None is the mean.
        init: fills the prototypes in place, see torch.nn.init; None is uniform in ±1/√D.
    """

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        lr: NonNegativeFloat = 5e-4,
        average: bool = False,
        num_sub_centers: Size = 1,
        regularizer: Regularizer | None = None,
        reducer: Reducer | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        self.num_classes, self.average, self.lr = num_classes, average, lr
        self.prototypes = init_prototypes(num_classes, embedding_dim, num_sub_centers, init)
        self.regularizer, self.reducer = regularizer, reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.prototypes], "lr": self.lr, "weight_decay": 0.0}]

    def logits(self, embeddings: Embeddings, _labels: Targets | None = None) -> Logits:
        return class_cosines(embeddings, self.prototypes, self.num_classes)

    def forward(
        self, embeddings: Embeddings, labels: Targets, tuples: Tuples | None = None
    ) -> Scalar:
        check_targets(embeddings, labels, self.num_classes)
        cosines = self.logits(embeddings)
        if labels.is_floating_point():
            wanted = labels.to(cosines.dtype)
        else:
            wanted = torch.zeros_like(cosines).scatter(1, labels.long()[:, None], 1)
        squared = (cosines - wanted).square()
        losses = squared.mean(dim=1) if self.average else squared.sum(dim=1) / 2
        return loss_over_samples(self, losses, labels, tuples)
