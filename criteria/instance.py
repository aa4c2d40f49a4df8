"""Instance loss: Zheng et al., ACM TOMM 2020, https://arxiv.org/abs/1711.05535."""

from typing import Any

from torch import nn

from core.classification import Initializer, class_cosines, classification_loss, init_prototypes
from core.distance import DotProduct
from core.ranges import NonNegativeFloat, PositiveFloat, Size
from core.reducer import Mean, Reducer
from core.regularizer import Regularizer
from core.types import Embeddings, Logits, Scalar, Targets, Tuples


class Instance(nn.Module):
    """Instance loss: linear classification, where each instance may be a class of its own.

        -log softmax(x·w_c) at the label

    averaged over the batch. Given `tuples` weigh each sample by how often they name it. In the
    paper an instance is an image with its texts, which share the prototypes w_c; neither embeddings
    nor prototypes are normalised. With `gamma` both are. It takes no `distance`: the logits are dot
    products or scaled cosines, and `loss=softmax` takes other similarities.

    Differences:
        pytorch-metric-learning: `InstanceLoss` has no prototypes; the embeddings of the batch take
            their place, and the label's rank in the batch is the column to choose, which is the
            sample itself only in a batch of ascending, different labels. Not offered; `gamma=64`
            has its scale.

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        gamma: γ > 0, for γ cos(x, w_c) instead of x·w_c; None is none.
        lr: learning rate of the prototypes, which have no weight decay.
        regularizer: of the prototypes.
        reducer: of the term `samples`; None is the mean.
        init: fills the prototypes in place, see torch.nn.init; None is uniform in ±1/√D.
    """

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        gamma: PositiveFloat | None = None,
        lr: NonNegativeFloat = 5e-4,
        regularizer: Regularizer | None = None,
        reducer: Reducer | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        if gamma is not None and gamma <= 0:
            raise ValueError(f"gamma must be positive, got {gamma}")
        self.num_classes, self.gamma, self.lr = num_classes, gamma, lr
        self.prototypes = init_prototypes(num_classes, embedding_dim, init=init)
        self.regularizer, self.reducer = regularizer, reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.prototypes], "lr": self.lr, "weight_decay": 0.0}]

    def logits(self, embeddings: Embeddings, _labels: Targets | None = None) -> Logits:
        if self.gamma is None:
            return DotProduct().similarity(embeddings, self.prototypes)
        return self.gamma * class_cosines(embeddings, self.prototypes, self.num_classes)

    def forward(
        self, embeddings: Embeddings, labels: Targets, tuples: Tuples | None = None
    ) -> Scalar:
        return classification_loss(self, embeddings, labels, tuples)
