"""DeepNCM: Guerriero et al., ICLR workshop 2018, https://openreview.net/forum?id=rkPLZ4JPM."""

from typing import Annotated

import torch
from annotated_types import Ge, Lt
from torch import Tensor, nn

from core.classification import choose_scale, classification_loss
from core.distance import Lp, to_float32
from core.ranges import PositiveFloat, Size
from core.reducer import Mean, Reducer
from core.types import Distance, Embeddings, Logits, Scalar, Targets, Tuples


class DeepNCM(nn.Module):
    """DeepNCM: classifies by the nearest class mean, a running mean of the embeddings.

        -log softmax(-s d(x, μ_c)) at the label

    with d the squared Euclidean distance, of embeddings that are not normalised. The means start
    at zero and are not trained: after each batch in training mode, those of its classes become

        μ_c = decay μ_c + (1 - decay) (mean of the batch's embeddings of class c)

    without gradient. They are a buffer, hence part of the checkpoint, and the same in several
    processes. The loss is averaged over the batch; given `tuples` weigh each sample by how often
    they name it. While all means are zero there is no gradient. With soft labels, an embedding
    counts for each class by its share.

    Differences:
        metric-learning-layers: cosines instead of distances, scaled by √2 log(C - 1);
            `distance=Cosine(), scale=None`.

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        decay: of the means, in [0, 1).
        distance: between embeddings and means; None is the squared Euclidean distance.
        scale: s > 0; None is √2 log(C - 1). The authors' code has 1.
        reducer: of the term `samples`; None is the mean.
    """

    prototypes: Tensor

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        decay: Annotated[float, Ge(0), Lt(1)] = 0.9,
        distance: Distance | None = None,
        scale: PositiveFloat | None = 1.0,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}")
        self.num_classes, self.decay = num_classes, decay
        self.distance = distance or Lp(p=2, power=2, normalize=False)
        self.scale = choose_scale(scale, num_classes)
        self.register_buffer("prototypes", torch.zeros(num_classes, embedding_dim))
        self.regularizer, self.reducer = None, reducer or Mean()

    def logits(self, embeddings: Embeddings, labels: Targets | None = None) -> Logits:
        logits = -self.scale * self.distance(embeddings, self.prototypes)
        if self.training and labels is not None:
            # a new tensor: the old one is still needed for the gradient of this batch
            self.prototypes = self._updated(to_float32(embeddings.detach()), labels)
        return logits

    def forward(
        self, embeddings: Embeddings, labels: Targets, tuples: Tuples | None = None
    ) -> Scalar:
        return classification_loss(self, embeddings, labels, tuples)

    def _updated(self, embeddings: Tensor, labels: Targets) -> Tensor:
        zeros = torch.zeros_like(self.prototypes)
        with torch.autocast(embeddings.device.type, enabled=False):
            x = embeddings.to(zeros.dtype)
            if labels.is_floating_point():
                shares = labels.to(zeros.dtype)
                sums, counts = shares.T @ x, shares.sum(dim=0)
            else:
                sums = zeros.index_add(0, labels.long(), x)
                counts = zeros[:, 0].index_add(0, labels.long(), torch.ones_like(x[:, 0]))
        named = (counts > 0)[:, None]
        means = sums / counts[:, None].masked_fill(~named, 1)
        return torch.where(
            named, self.decay * self.prototypes + (1 - self.decay) * means, self.prototypes
        )
