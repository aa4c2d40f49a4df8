"""CosFace: Wang et al., CVPR 2018, https://arxiv.org/abs/1801.09414."""

from typing import Annotated, Any

from annotated_types import Ge, Le
from torch import nn

from core.classification import (
    Initializer,
    choose_scale,
    class_cosines,
    classification_loss,
    init_prototypes,
    with_margin,
)
from core.ranges import NonNegativeFloat, PositiveFloat, Size
from core.reducer import Mean, Reducer
from core.regularizer import Regularizer
from core.types import Embeddings, Logits, Scalar, Targets, Tuples


class CosFace(nn.Module):
    """CosFace: classifies by cosine similarity, with a margin taken off that of the true class.

        -log softmax(s (cos θ_c - [c is the label] margin)) at the label

    with θ_c the angle between the embedding and the prototype of class c, the closest if it has
    several; averaged over the batch. Given `tuples` weigh each sample by how often they name it.
    There is no margin in evaluation mode. With soft labels, each cosine loses the margin times the
    share of its class.
    The margin applies to a cosine, so that no other `distance` can be chosen.

    Differences:
        pytorch-metric-learning: `CosFaceLoss`, the same.
        metric-learning-layers: margin 0.5 and scale √2 log(C - 1); `margin=0.5, scale=None`.

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        margin: cosine similarity, in [0, 2].
        scale: s > 0, multiplies the cosines; None is √2 log(C - 1).
        lr: learning rate of the prototypes, and of a learned scale; they have no weight decay.
        num_sub_centers: prototypes per class, K >= 1.
        learn_scale: whether s is trained too.
        regularizer: of the prototypes.
        reducer: of the term `samples`; None is the mean.
        init: fills the prototypes in place, see torch.nn.init; None is uniform in ±1/√D.
    """

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        margin: Annotated[float, Ge(0), Le(2)] = 0.35,
        scale: PositiveFloat | None = 64.0,
        lr: NonNegativeFloat = 5e-4,
        num_sub_centers: Size = 1,
        learn_scale: bool = False,
        regularizer: Regularizer | None = None,
        reducer: Reducer | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= margin <= 2:
            raise ValueError(f"margin must be between 0 and 2, got {margin}")
        self.num_classes, self.margin, self.lr = num_classes, margin, lr
        self.scale = choose_scale(scale, num_classes, learn_scale)
        self.prototypes = init_prototypes(num_classes, embedding_dim, num_sub_centers, init)
        self.regularizer, self.reducer = regularizer, reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": self.lr, "weight_decay": 0.0}]

    def logits(self, embeddings: Embeddings, labels: Targets | None = None) -> Logits:
        cosines = class_cosines(embeddings, self.prototypes, self.num_classes)
        if self.training and labels is not None:
            cosines = with_margin(cosines, labels, lambda own, share: own - self.margin * share)
        return self.scale * cosines

    def forward(
        self, embeddings: Embeddings, labels: Targets, tuples: Tuples | None = None
    ) -> Scalar:
        return classification_loss(self, embeddings, labels, tuples)
