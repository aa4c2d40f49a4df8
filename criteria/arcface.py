"""ArcFace: Deng et al., CVPR 2019, https://arxiv.org/abs/1801.07698."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.distance import Cosine, safe_sqrt
from core.inputs import check_classes, check_inputs
from core.reducer import Mean, Reducer, Terms
from core.tuples import to_weights
from core.types import Embeddings, Labels, Scalar, Tuples


class ArcFace(nn.Module):
    """Classification by angle, where the angle θ to the own class is made harder by a margin.

        -log softmax(s cos(θ_c + [c is the label] margin)) at the label

    with θ_c the angle between the embedding and the prototype of class c; averaged over the batch,
    each sample weighted by how often `tuples` name it if they are given. Beyond θ = π - margin the
    cosine of the paper rises again; with `monotonic` it goes on falling, as
    cos θ - margin sin(margin), in the authors' code and in pytorch-metric-learning. (Roth et al.'s
    code clamps cosines to be positive, which takes the gradient of the others away.)

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        margin: radians, in [0, π].
        scale: s > 0, multiplies the cosines.
        lr: learning rate of the prototypes, which have no weight decay.
        monotonic: continue the own cosine beyond π as described.
        reducer: of the term `samples`; None is the mean.
    """

    def __init__(
        self,
        num_classes: int,
        embedding_dim: int,
        margin: float = 0.5,
        scale: float = 64.0,
        lr: float = 5e-4,
        monotonic: bool = False,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= margin <= math.pi:
            raise ValueError(f"margin must be between 0 and π radians, got {margin}")
        self.num_classes, self.lr = num_classes, lr
        self.margin, self.scale, self.monotonic = margin, scale, monotonic
        bound = embedding_dim**-0.5  # of the uniform distribution, as in Roth et al.'s code
        self.prototypes = nn.Parameter(torch.empty(num_classes, embedding_dim))
        nn.init.uniform_(self.prototypes, -bound, bound)
        self.reducer = reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.prototypes], "lr": self.lr, "weight_decay": 0.0}]

    def forward(
        self, embeddings: Embeddings, labels: Labels, tuples: Tuples | None = None
    ) -> Scalar:
        check_inputs(embeddings, labels)
        check_classes(labels, self.num_classes)
        cosines = Cosine().similarity(embeddings, self.prototypes)
        own = labels.long()[:, None]
        harder = self._with_margin(cosines.gather(1, own))
        logits = self.scale * cosines.scatter(1, own, harder)
        losses = F.cross_entropy(logits, labels.long(), reduction="none")
        weights = to_weights(tuples, labels)
        return self.reducer(labels, samples=Terms(weights * losses, weights, weights))

    def _with_margin(self, cosines: Tensor) -> Tensor:
        """cos(θ + margin) = cos θ cos(margin) - sin θ sin(margin), of finite slope everywhere."""
        sines = safe_sqrt((1 - cosines.square()).clamp(min=0))
        shifted = cosines * math.cos(self.margin) - sines * math.sin(self.margin)
        if not self.monotonic:
            return shifted
        continued = cosines - self.margin * math.sin(self.margin)
        return shifted.where(cosines > -math.cos(self.margin), continued)
