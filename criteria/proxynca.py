"""Proxy-NCA: Movshovitz-Attias et al., ICCV 2017, https://arxiv.org/abs/1703.07464."""

from functools import partial
from typing import Any

import torch
from torch import nn

from core.batch_checks import check_classes, check_inputs
from core.classification import Initializer, init_prototypes, loss_over_samples
from core.distance import Lp
from core.ranges import NonNegativeFloat, PositiveFloat, Size
from core.reducer import Mean, Reducer
from core.regularizer import Regularizer
from core.types import Distance, Embeddings, Labels, Logits, Scalar, Targets, Tuples


class ProxyNCA(nn.Module):
    """Proxy-NCA loss: neighbourhood component analysis with one trained proxy per class.

    With d_c the squared Euclidean distance between the embedding and the proxy of class c, both
    scaled to the same length,

        -log(exp(-d_y) / Σ_{c ≠ y} exp(-d_c))

    averaged over the batch. Given `tuples` weigh each sample by how often they name it. The proxy
    of the true class is not in the denominator, so the loss can be negative. Each sample has the
    proxy of its class (static assignment); the paper's dynamic assignment, for labels that are only
    relative, is not offered. The logits are -d_c. Soft labels are an error.

    Differences:
        ProxyNCA++: Teh et al., ECCV 2020, https://arxiv.org/abs/2004.01113: the denominator runs
            over all classes, so the loss is a cross-entropy, of temperature 1 / length²;
            `include_own=True`, or `loss=proxynca_pp`.
        pytorch-metric-learning: `ProxyNCALoss` is as ProxyNCA++, of length 1;
            `include_own=True, length=1`.
        pytorch-online-metric-learning: proxies of length 1 that are not trained; `length=1, lr=0`.

    Args:
        num_classes: labels are 0..num_classes-1; at least 2.
        embedding_dim: D.
        length: Euclidean length of embeddings and proxies, > 0.
        lr: learning rate of the proxies, which have no weight decay.
        include_own: whether the denominator runs over all classes.
        regularizer: of the proxies.
        reducer: of the term `samples`; None is the mean.
        distance: d is `length`² times it; None is the squared Euclidean distance of unit vectors.
        init: fills the proxies in place, see torch.nn.init; None is normal of deviation 1/8.
    """

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        length: PositiveFloat = 3.0,
        lr: NonNegativeFloat = 5e-4,
        include_own: bool = False,
        regularizer: Regularizer | None = None,
        reducer: Reducer | None = None,
        distance: Distance | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes}")
        self.num_classes, self.length, self.lr = num_classes, length, lr
        self.include_own = include_own
        self.distance = distance or Lp(power=2)
        init = init or partial(nn.init.normal_, std=1 / 8)  # as in Roth et al.'s code
        self.prototypes = init_prototypes(num_classes, embedding_dim, init=init)
        self.regularizer, self.reducer = regularizer, reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.prototypes], "lr": self.lr, "weight_decay": 0.0}]

    def logits(self, embeddings: Embeddings, _labels: Targets | None = None) -> Logits:
        return -(self.length**2) * self.distance(embeddings, self.prototypes)

    def forward(
        self, embeddings: Embeddings, labels: Labels, tuples: Tuples | None = None
    ) -> Scalar:
        check_inputs(embeddings, labels)
        check_classes(labels, self.num_classes)
        logits = self.logits(embeddings)
        own = labels.long()[:, None]
        others = logits if self.include_own else logits.scatter(1, own, -torch.inf)
        losses = others.logsumexp(dim=1) - logits.gather(1, own).squeeze(1)
        return loss_over_samples(self, losses, labels, tuples)
