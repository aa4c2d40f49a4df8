"""Proxy-Anchor: Kim et al., CVPR 2020, https://arxiv.org/abs/2003.13911."""

from typing import Any

import torch
from torch import Tensor, nn

from core.batch_checks import check_classes, check_inputs
from core.classification import Initializer, init_prototypes
from core.distance import Cosine
from core.kernels.logsumexp import log1p_sum_exp
from core.ranges import NonNegativeFloat, PositiveFloat, Size
from core.reducer import LossTerms, Mean, Reducer
from core.regularizer import Regularizer
from core.tuples import sample_weights
from core.types import Distance, Embeddings, Labels, Logits, Scalar, Targets, Tuples


class ProxyAnchor(nn.Module):
    """Proxy-Anchor loss: compares one trained proxy per class, the anchor, with all samples.

    With s the cosine similarity between a proxy p and a sample x, or that of another `distance`,

        mean over the proxies with a sample in the batch of log(1 + Σ_own  exp(-α (s - margin))) +
        mean over all proxies                            of log(1 + Σ_others exp(α (s + margin)))

    A proxy without others has 0 there. Given `tuples` weigh each exponential by how often they name
    its sample, divided by the largest such number. Rows of the reducer's terms `positives` and
    `negatives` are the proxies, not the samples. Each sample needs one class: soft labels are an
    error.

    Differences:
        pytorch-metric-learning: `ProxyAnchorLoss` adds weight - 1 to the exponents instead of
            weighting the exponentials; the same without tuples.

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        margin: in units of s, >= 0.
        alpha: α > 0.
        lr: learning rate of the proxies, which have no weight decay.
        regularizer: of the proxies.
        reducer: of the terms `positives` and `negatives`; None is the mean of each.
        distance: its similarity is s; None is the cosine.
        init: fills the proxies in place, see torch.nn.init; None is uniform in ±1/√D.
    """

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        margin: float = 0.1,
        alpha: PositiveFloat = 32.0,
        lr: NonNegativeFloat = 1e-2,
        regularizer: Regularizer | None = None,
        reducer: Reducer | None = None,
        distance: Distance | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        if alpha <= 0:
            raise ValueError(f"alpha must be positive, got {alpha}")
        self.num_classes, self.margin, self.alpha, self.lr = num_classes, margin, alpha, lr
        self.distance = distance or Cosine()
        self.prototypes = init_prototypes(num_classes, embedding_dim, init=init)
        self.regularizer, self.reducer = regularizer, reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.prototypes], "lr": self.lr, "weight_decay": 0.0}]

    def logits(self, embeddings: Embeddings, _labels: Targets | None = None) -> Logits:
        return self.alpha * self.distance.similarity(self.prototypes, embeddings).T

    def forward(
        self, embeddings: Embeddings, labels: Labels, tuples: Tuples | None = None
    ) -> Scalar:
        check_inputs(embeddings, labels)
        check_classes(labels, self.num_classes)
        classes = torch.arange(self.num_classes, device=labels.device)
        own = classes[:, None] == labels  # (C, N)
        similarities = self.distance.similarity(self.prototypes, embeddings)
        weights = sample_weights(tuples, labels)
        named = weights > 0
        log_weights = (weights / weights.max().clamp(min=1)).to(similarities.dtype).log()

        close = log_weights - self.alpha * (similarities - self.margin)
        far = log_weights + self.alpha * (similarities + self.margin)
        loss = self.reducer(
            classes,
            positives=_terms(log1p_sum_exp(close, own & named), (own & named).any(dim=1)),
            negatives=_terms(log1p_sum_exp(far, ~own & named), torch.ones_like(classes)),
        )
        return loss if self.regularizer is None else loss + self.regularizer(self.prototypes)


def _terms(losses: Tensor, counts: Tensor) -> LossTerms:
    return LossTerms(losses, counts, counts * (losses > 0))
