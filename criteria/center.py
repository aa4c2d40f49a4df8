"""Center loss: Wen et al., ECCV 2016, https://ydwen.github.io/papers/WenECCV16.pdf."""

import torch
from torch import Tensor, nn

from core.batch_checks import check_classes, check_inputs
from core.classification import Initializer, init_prototypes, loss_over_samples
from core.distance import Lp, to_float32
from core.ranges import Fraction, Size
from core.reducer import Mean, Reducer
from core.types import Embeddings, Labels, Logits, Scalar, Targets, Tuples


class Center(nn.Module):
    """Center loss: pulls each embedding to the running center of its class.

        ½ |x - c_y|²

    of embeddings that are not normalised, averaged over the batch. Given `tuples` weigh each sample
    by how often they name it. The paper adds 0.003 times this to a softmax (`loss=softmax+center`),
    because alone it does not keep classes apart. The centers are not trained: after each batch in
    training mode, those of its classes move by

        c -= rate Σ_i (c - x_i) / (1 + n), over the n samples x_i of the class in the batch

    without gradient. They are a buffer, hence part of the checkpoint, and the same in several
    processes. The logits are -½ |x - c|². Each sample needs one class: soft labels are an error.
    The update follows the gradient of the squared Euclidean distance, so that no other
    `distance` can be chosen.

    Differences:
        Wen et al.: the paper sums over the batch, in its softmax too; `reducer=Sum()`.

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        rate: in [0, 1]; 0 holds the centers.
        reducer: of the term `samples`; None is the mean.
        init: fills the centers in place, see torch.nn.init; None is uniform in ±1/√D.
    """

    prototypes: Tensor

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        rate: Fraction = 0.5,
        reducer: Reducer | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= rate <= 1:
            raise ValueError(f"rate must be in [0, 1], got {rate}")
        self.num_classes, self.rate = num_classes, rate
        centers = init_prototypes(num_classes, embedding_dim, init=init)
        self.register_buffer("prototypes", centers.detach())
        self.regularizer, self.reducer = None, reducer or Mean()

    def logits(self, embeddings: Embeddings, _labels: Targets | None = None) -> Logits:
        return -Lp(power=2, normalize=False)(embeddings, self.prototypes) / 2

    def forward(
        self, embeddings: Embeddings, labels: Labels, tuples: Tuples | None = None
    ) -> Scalar:
        check_inputs(embeddings, labels)
        check_classes(labels, self.num_classes)
        offsets = self.prototypes[labels.long()] - to_float32(embeddings)
        if self.training:
            # a new tensor, as the values before the step are those the loss is about
            self.prototypes = self._moved(offsets.detach(), labels.long())
        return loss_over_samples(self, offsets.square().sum(dim=1) / 2, labels, tuples)

    def _moved(self, offsets: Tensor, labels: Tensor) -> Tensor:
        zeros = torch.zeros_like(self.prototypes)
        sums = zeros.index_add(0, labels, offsets.to(zeros.dtype))
        counts = zeros[:, 0].index_add(0, labels, torch.ones_like(zeros[0, 0]).expand(len(labels)))
        return self.prototypes - self.rate * sums / (1 + counts)[:, None]
