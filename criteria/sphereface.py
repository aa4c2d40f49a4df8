"""SphereFace, A-Softmax: Liu et al., CVPR 2017, https://arxiv.org/abs/1704.08063."""

import math
from typing import Any

from torch import Tensor, nn

from core.classification import (
    Initializer,
    choose_scale,
    class_cosines,
    classification_loss,
    init_prototypes,
    with_margin,
)
from core.distance import safe_sqrt, to_float32
from core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Size
from core.reducer import Mean, Reducer
from core.regularizer import Regularizer
from core.types import Embeddings, Logits, Scalar, Targets, Tuples


class SphereFace(nn.Module):
    """SphereFace, A-Softmax: classifies by angle; that of the true class is multiplied by a margin.

        -log softmax(s |x| [ψ(θ_c) if c is the label, else cos θ_c]) at the label
        ψ(θ) = (-1)^k cos(m θ) - 2k, for θ between k π/m and (k + 1) π/m: cos(m θ), ever falling

    with θ_c the angle between the embedding and the prototype of class c, the closest if it has
    several; averaged over the batch. Given `tuples` weigh each sample by how often they name it.
    The length of the embedding counts, that of the prototype does not. There is no margin in
    evaluation mode. A soft label replaces ψ by (1 - share) cos θ + share ψ(θ).
    The margin applies to an angle, so that no other `distance` can be chosen.

    Differences:
        pytorch-metric-learning: `SphereFaceLoss` and `LargeMarginSoftmaxLoss`, the same.
        Large-margin softmax: Liu et al., ICML 2016, https://arxiv.org/abs/1612.02295: the length of
            the prototype counts too; `unit_prototypes=False`, or `loss=large_margin_softmax`.
        authors' code: (λ cos θ + ψ(θ)) / (1 + λ) instead of ψ, where λ falls from 1000 to 5 so that
            training starts at all; `blend=5` holds it there.

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        margin: m, an integer >= 1; 1 is no margin.
        scale: s > 0; None is √2 log(C - 1).
        blend: λ >= 0.
        unit_prototypes: whether the length of the prototypes does not count.
        lr: learning rate of the prototypes, and of a learned scale; they have no weight decay.
        num_sub_centers: prototypes per class, K >= 1; of unit length if there are several.
        learn_scale: whether s is trained too.
        regularizer: of the prototypes.
        reducer: of the term `samples`; None is the mean.
        init: fills the prototypes in place, see torch.nn.init; None is uniform in ±1/√D.
    """

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        margin: PositiveInt = 4,
        scale: PositiveFloat | None = 1.0,
        blend: NonNegativeFloat = 0.0,
        unit_prototypes: bool = True,
        lr: NonNegativeFloat = 5e-4,
        num_sub_centers: Size = 1,
        learn_scale: bool = False,
        regularizer: Regularizer | None = None,
        reducer: Reducer | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        if margin != int(margin) or margin < 1:
            raise ValueError(f"margin must be an integer >= 1, got {margin}")
        if num_sub_centers > 1 and not unit_prototypes:
            raise ValueError("num_sub_centers > 1 needs unit_prototypes")
        self.num_classes, self.lr = num_classes, lr
        self.margin, self.blend, self.unit_prototypes = int(margin), blend, unit_prototypes
        self.scale = choose_scale(scale, num_classes, learn_scale)
        self.prototypes = init_prototypes(num_classes, embedding_dim, num_sub_centers, init)
        self.regularizer, self.reducer = regularizer, reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": self.lr, "weight_decay": 0.0}]

    def logits(self, embeddings: Embeddings, labels: Targets | None = None) -> Logits:
        cosines = class_cosines(embeddings, self.prototypes, self.num_classes)
        if self.training and labels is not None:
            cosines = with_margin(cosines, labels, self._harder)
        lengths = _lengths(embeddings)[:, None]
        if not self.unit_prototypes:
            lengths = lengths * _lengths(self.prototypes)
        return self.scale * lengths * cosines

    def forward(
        self, embeddings: Embeddings, labels: Targets, tuples: Tuples | None = None
    ) -> Scalar:
        return classification_loss(self, embeddings, labels, tuples)

    def _harder(self, cosines: Tensor, shares: Tensor) -> Tensor:
        return cosines + shares * (psi(cosines, self.margin) - cosines) / (1 + self.blend)


def psi(cosines: Tensor, margin: int) -> Tensor:
    """(-1)^k cos(m θ) - 2k without the angle itself, whose slope is infinite at 0 and π."""
    previous, multiple = cosines.new_ones(cosines.shape), cosines  # cos(0 θ), cos(1 θ)
    k = cosines.new_zeros(cosines.shape)
    for i in range(1, margin):
        previous, multiple = multiple, 2 * cosines * multiple - previous
        k = k + (cosines < math.cos(i * math.pi / margin))
    return (1 - 2 * (k % 2)) * multiple - 2 * k


def _lengths(vectors: Tensor) -> Tensor:
    return safe_sqrt(to_float32(vectors).square().sum(dim=1))
