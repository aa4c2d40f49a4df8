"""SoftTriple: Qian et al., ICCV 2019, https://arxiv.org/abs/1909.05235."""

from typing import Any

from torch import nn

from core.classification import (
    Initializer,
    choose_scale,
    classification_loss,
    init_prototypes,
    with_margin,
)
from core.distance import Cosine
from core.ranges import NonNegativeFloat, PositiveFloat, Size
from core.reducer import Mean, Reducer
from core.regularizer import Regularizer, SparseCenters
from core.types import Embeddings, Logits, Scalar, Targets, Tuples


class SoftTriple(nn.Module):
    """SoftTriple loss: classifies by a soft maximum of the cosines with several centers per class.

        S_c = Σ_k softmax_k(cos(x, w_ck) / γ) cos(x, w_ck)
        -log softmax(λ (S_c - [c is the label] margin)) at the label, and once per batch
        τ Σ_c Σ_{s<t} |w_cs - w_ct| / (C K (K - 1)), of unit vectors

    averaged over the batch. Given `tuples` weigh each sample by how often they name it. The last
    part merges centers that a class does not need. There is no margin in evaluation mode. With soft
    labels, each S_c loses the margin times the share of its class. S_c is derived for unit vectors,
    so that no other `distance` can be chosen.

    Differences:
        authors' code: relies on normalised embeddings; adds 1e-5 below the root of each distance.
        pytorch-metric-learning: `SoftTripleLoss` has no last part; `tau=0`.
        Roth et al.: γ = 0.1 multiplies the cosines; `num_sub_centers=2, scale=8, gamma=10`. Their
            code cannot be constructed with its own options, and normalises and weighs the centers
            along the wrong axes.

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        num_sub_centers: centers per class, K >= 1.
        scale: λ > 0; None is √2 log(C - 1).
        gamma: γ > 0, temperature of the choice among the centers of a class; cosine similarity.
        margin: cosine similarity, >= 0.
        tau: τ >= 0.
        lr: learning rate of the centers, and of a learned scale; they have no weight decay.
        learn_scale: whether λ is trained too.
        regularizer: of the centers, instead of the last part; None is that part, if τ > 0.
        reducer: of the term `samples`; None is the mean.
        init: fills the centers in place, see torch.nn.init; None is uniform in ±1/√D.
    """

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        num_sub_centers: Size = 10,
        scale: PositiveFloat | None = 20.0,
        gamma: PositiveFloat = 0.1,
        margin: float = 0.01,
        tau: float = 0.2,
        lr: NonNegativeFloat = 1e-2,
        learn_scale: bool = False,
        regularizer: Regularizer | None = None,
        reducer: Reducer | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        if gamma <= 0:
            raise ValueError(f"gamma must be positive, got {gamma}")
        self.num_classes, self.gamma, self.margin, self.lr = num_classes, gamma, margin, lr
        self.scale = choose_scale(scale, num_classes, learn_scale)
        self.prototypes = init_prototypes(num_classes, embedding_dim, num_sub_centers, init)
        if regularizer is None and tau > 0:
            regularizer = SparseCenters(num_sub_centers, tau)
        self.regularizer = regularizer
        self.reducer = reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": self.lr, "weight_decay": 0.0}]

    def logits(self, embeddings: Embeddings, labels: Targets | None = None) -> Logits:
        cosines = Cosine().similarity(embeddings, self.prototypes)
        of_class = cosines.reshape(len(cosines), self.num_classes, -1)  # (N, C, K)
        relaxed = ((of_class / self.gamma).softmax(dim=2) * of_class).sum(dim=2)
        if self.training and labels is not None:
            relaxed = with_margin(relaxed, labels, lambda own, share: own - self.margin * share)
        return self.scale * relaxed

    def forward(
        self, embeddings: Embeddings, labels: Targets, tuples: Tuples | None = None
    ) -> Scalar:
        return classification_loss(self, embeddings, labels, tuples)
