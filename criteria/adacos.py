"""AdaCos: Zhang et al., CVPR 2019, https://arxiv.org/abs/1905.00292."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from core.classification import (
    Initializer,
    choose_scale,
    class_cosines,
    classification_loss,
    init_prototypes,
)
from core.ranges import NonNegativeFloat, Size
from core.reducer import Mean, Reducer
from core.regularizer import Regularizer
from core.types import Embeddings, Logits, Scalar, Targets, Tuples


class AdaCos(nn.Module):
    """AdaCos: the normalized softmax with a scale that adapts to each batch, so it needs no tuning.

        -log softmax(s cos θ_c) at the label y

    with θ_c the angle between the embedding and the closest prototype of class c. The scale starts
    at √2 log(C - 1). Before each batch in training mode it becomes

        s = log(mean over the batch of Σ_{c ≠ y} exp(s cos θ_c)) / cos(min(π/4, median of θ_y))

    without gradient, the lower of two medians and never below 1; with one class it stays. It is a
    buffer, hence part of the checkpoint, and the same in several processes. The loss is averaged
    over the batch; given `tuples` weigh each sample by how often they name it. With soft labels, a
    class counts in the sum by 1 - its share, and y is the class with the largest share.
    `fixed_adacos` keeps the first scale: the normalized softmax with `temperature=None`. The scale
    follows the angles, so that no other `distance` can be chosen.

    Differences:
        metric-learning-layers: sums over all classes, takes the median of the angles to all of
            them, divides only the logarithm and not the maximum taken out of it by the cosine, and
            updates after the batch; not offered.

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        lr: learning rate of the prototypes, which have no weight decay.
        num_sub_centers: prototypes per class, K >= 1.
        regularizer: of the prototypes.
        reducer: of the term `samples`; None is the mean.
        init: fills the prototypes in place, see torch.nn.init; None is uniform in ±1/√D.
    """

    scale: Tensor

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        lr: NonNegativeFloat = 5e-4,
        num_sub_centers: Size = 1,
        regularizer: Regularizer | None = None,
        reducer: Reducer | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        self.num_classes, self.lr = num_classes, lr
        self.register_buffer("scale", torch.as_tensor(choose_scale(None, num_classes)))
        self.prototypes = init_prototypes(num_classes, embedding_dim, num_sub_centers, init)
        self.regularizer, self.reducer = regularizer, reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.prototypes], "lr": self.lr, "weight_decay": 0.0}]

    def logits(self, embeddings: Embeddings, labels: Targets | None = None) -> Logits:
        cosines = class_cosines(embeddings, self.prototypes, self.num_classes)
        if self.training and labels is not None and self.num_classes > 1:
            # a new tensor: the old one may still be needed for the gradient of an earlier batch
            self.scale = self._adapted(cosines.detach(), labels).to(self.scale.dtype)
        return self.scale * cosines

    def forward(
        self, embeddings: Embeddings, labels: Targets, tuples: Tuples | None = None
    ) -> Scalar:
        return classification_loss(self, embeddings, labels, tuples)

    def _adapted(self, cosines: Tensor, labels: Targets) -> Tensor:
        if labels.is_floating_point():
            others, own = (1 - labels).clamp(min=0), labels.argmax(dim=1, keepdim=True)
        else:
            own = labels.long()[:, None]
            others = torch.ones_like(cosines).scatter(1, own, 0)
        total = (self.scale * cosines + others.log()).flatten().logsumexp(dim=0)
        angle = cosines.gather(1, own).clamp(-1, 1).acos().median().clamp(max=math.pi / 4)
        return ((total - math.log(len(cosines))) / angle.cos()).clamp(min=1)
