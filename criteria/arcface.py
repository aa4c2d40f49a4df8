"""ArcFace: Deng et al., CVPR 2019, https://arxiv.org/abs/1801.07698."""

import math
from typing import Annotated, Any

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from core.batch_checks import check_classes, check_inputs
from core.classification import (
    Initializer,
    choose_scale,
    class_cosines,
    classification_loss,
    init_prototypes,
    with_margin,
)
from core.distance import Cosine, safe_sqrt
from core.ranges import NonNegativeFloat, PositiveFloat, Size
from core.reducer import Mean, Reducer
from core.regularizer import Regularizer
from core.types import Embeddings, Labels, Logits, Scalar, Targets, Tuples


class ArcFace(nn.Module):
    """ArcFace: classifies by angle, with a margin added to the angle of the true class.

        -log softmax(s cos(θ_c + [c is the label] margin)) at the label

    with θ_c the angle between the embedding and the prototype of class c, the closest if it has
    several (sub-center ArcFace: Deng et al., ECCV 2020); averaged over the batch. Given `tuples`
    weigh each sample by how often they name it. There is no margin in evaluation mode. With soft
    labels, each angle gets the margin times the share of its class.
    The margin applies to an angle, so that no other `distance` can be chosen.

    Differences:
        authors' code: beyond θ = π - margin, where the cosine of the paper rises again, it goes on
            falling as cos θ - margin sin(margin); `monotonic=True` gives it.
        pytorch-metric-learning: `ArcFaceLoss` and `SubCenterArcFaceLoss` are as the authors' code;
            `monotonic=True`.
        Roth et al.: clamp the cosines at 0, so that negative ones have no gradient. Until February
            2021 they added the margin to every logit.

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        margin: radians, in [0, π].
        scale: s > 0, multiplies the cosines; None is √2 log(C - 1).
        lr: learning rate of the prototypes, and of a learned scale; they have no weight decay.
        monotonic: continue the cosine of the true class beyond π as described.
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
        margin: Annotated[float, Ge(0), Le(math.pi)] = 0.5,
        scale: PositiveFloat | None = 64.0,
        lr: NonNegativeFloat = 5e-4,
        monotonic: bool = False,
        num_sub_centers: Size = 1,
        learn_scale: bool = False,
        regularizer: Regularizer | None = None,
        reducer: Reducer | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= margin <= math.pi:
            raise ValueError(f"margin must be between 0 and π radians, got {margin}")
        self.num_classes, self.lr = num_classes, lr
        self.margin, self.monotonic = margin, monotonic
        self.scale = choose_scale(scale, num_classes, learn_scale)
        self.prototypes = init_prototypes(num_classes, embedding_dim, num_sub_centers, init)
        self.regularizer, self.reducer = regularizer, reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": self.lr, "weight_decay": 0.0}]

    def logits(self, embeddings: Embeddings, labels: Targets | None = None) -> Logits:
        cosines = class_cosines(embeddings, self.prototypes, self.num_classes)
        if self.training and labels is not None:
            cosines = with_margin(cosines, labels, self._harder)
        return self.scale * cosines

    def forward(
        self, embeddings: Embeddings, labels: Targets, tuples: Tuples | None = None
    ) -> Scalar:
        return classification_loss(self, embeddings, labels, tuples)

    def _harder(self, cosines: Tensor, shares: Tensor) -> Tensor:
        """cos(θ + margin) = cos θ cos(margin) - sin θ sin(margin), of finite slope everywhere."""
        margins = shares * self.margin
        sines = safe_sqrt((1 - cosines.square()).clamp(min=0))
        shifted = cosines * margins.cos() - sines * margins.sin()
        if not self.monotonic:
            return shifted
        continued = cosines - margins * margins.sin()
        return shifted.where(cosines > -margins.cos(), continued)

    @torch.no_grad()
    def outliers(self, embeddings: Embeddings, labels: Labels, threshold: float = 75.0) -> Tensor:
        """Which samples are far from the dominant sub-center of their class, booleans (N,).

        The dominant sub-center of a class is the one closest to most of its samples given; the
        others collect the noise. Give a whole training set, drop the outliers, train once more.

        Args:
            threshold: degrees; 75 in the paper. An angle beyond it is far.
        """
        check_inputs(embeddings, labels)
        check_classes(labels, self.num_classes)
        labels = labels.long()
        cosines = Cosine().similarity(embeddings, self.prototypes)
        of_class = cosines.reshape(len(cosines), self.num_classes, -1)  # (N, C, K)
        of_own = of_class[torch.arange(len(labels), device=labels.device), labels]  # (N, K)
        votes = torch.zeros(of_class.shape[1:], dtype=torch.long, device=labels.device)
        vote = labels, of_own.argmax(dim=1)
        votes = votes.index_put(vote, torch.ones_like(labels), accumulate=True)
        dominant = votes.argmax(dim=1)[labels][:, None]
        return of_own.gather(1, dominant).squeeze(1) < math.cos(math.radians(threshold))
