"""Normalized softmax: Zhai & Wu, BMVC 2019, https://arxiv.org/abs/1811.12649."""

from typing import Any

from torch import nn

from core.classification import (
    Initializer,
    choose_scale,
    class_similarities,
    classification_loss,
    init_prototypes,
)
from core.distance import Cosine
from core.ranges import NonNegativeFloat, PositiveFloat, Size
from core.reducer import Mean, Reducer
from core.regularizer import Regularizer
from core.types import Distance, Embeddings, Logits, Scalar, Targets, Tuples


class NormalizedSoftmax(nn.Module):
    """Normalized softmax loss: classifies by the cosine similarity to trained class prototypes.

        -log softmax(cos(x, w_c) / T) at the label

    averaged over the batch. Given `tuples` weigh each sample by how often they name it. With
    several prototypes per class, the cosine is that to the closest. This is the scaled normalized
    linear layer, of scale 1/T; with T from the number of classes it is fixed AdaCos (Zhang et al.,
    CVPR 2019, https://arxiv.org/abs/1905.00292). The similarity of another `distance` replaces the
    cosine.

    Differences:
        Roth et al.: normalise the prototypes only and rely on normalised embeddings.
        pytorch-metric-learning: `NormalizedSoftmaxLoss` does so, too.
        metric-learning-layers: `ScaledNormalizedLinear`; its `...Sqrt` has T = 1 / (scale √D).

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        temperature: T > 0, the cosines are divided by it; None is 1 / (√2 log(C - 1)).
        lr: learning rate of the prototypes, and of a learned scale; they have no weight decay.
        num_sub_centers: prototypes per class, K >= 1.
        learn_scale: whether 1/T is trained too.
        regularizer: of the prototypes.
        reducer: of the term `samples`; None is the mean.
        distance: its similarity is that to the prototypes; None is the cosine.
        init: fills the prototypes in place, see torch.nn.init; None is uniform in ±1/√D.
    """

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        temperature: PositiveFloat | None = 0.05,
        lr: NonNegativeFloat = 1e-5,
        num_sub_centers: Size = 1,
        learn_scale: bool = False,
        regularizer: Regularizer | None = None,
        reducer: Reducer | None = None,
        distance: Distance | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        if temperature is not None and temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.num_classes, self.lr, self.distance = num_classes, lr, distance or Cosine()
        scale = None if temperature is None else 1 / temperature
        self.scale = choose_scale(scale, num_classes, learn_scale)
        self.prototypes = init_prototypes(num_classes, embedding_dim, num_sub_centers, init)
        self.regularizer, self.reducer = regularizer, reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": self.lr, "weight_decay": 0.0}]

    def logits(self, embeddings: Embeddings, _labels: Targets | None = None) -> Logits:
        return self.scale * class_similarities(
            embeddings, self.prototypes, self.num_classes, self.distance
        )

    def forward(
        self, embeddings: Embeddings, labels: Targets, tuples: Tuples | None = None
    ) -> Scalar:
        return classification_loss(self, embeddings, labels, tuples)
