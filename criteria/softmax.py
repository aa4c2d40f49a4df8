"""Normalized softmax: Zhai & Wu, BMVC 2019, https://arxiv.org/abs/1811.12649."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from core.distance import Cosine
from core.inputs import check_classes, check_inputs
from core.reducer import Mean, Reducer, Terms
from core.tuples import to_weights
from core.types import Embeddings, Labels, Scalar, Tuples


class NormalizedSoftmax(nn.Module):
    """Classification by the cosine similarity to one trained prototype per class.

        -log softmax(cos(x, w_c) / T) at the label

    averaged over the batch, each sample weighted by how often `tuples` name it if they are given.
    (Roth et al.'s code normalises the prototypes only and relies on normalised embeddings.)

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        temperature: T > 0; the cosines are divided by it.
        lr: learning rate of the prototypes, which have no weight decay.
        reducer: of the term `samples`; None is the mean.
    """

    def __init__(
        self,
        num_classes: int,
        embedding_dim: int,
        temperature: float = 0.05,
        lr: float = 1e-5,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.num_classes, self.temperature, self.lr = num_classes, temperature, lr
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
        logits = Cosine().similarity(embeddings, self.prototypes) / self.temperature
        losses = F.cross_entropy(logits, labels.long(), reduction="none")
        weights = to_weights(tuples, labels)
        return self.reducer(labels, samples=Terms(weights * losses, weights, weights))
