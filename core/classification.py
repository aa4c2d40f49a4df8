"""Classification: what the losses with class prototypes have in common.

Such a loss is called as `loss(embeddings, labels)` -> scalar, and is at the same time the last
layer of a classifier, `ClassifierHead(loss)(embeddings)` -> logits (N, C). Embeddings are compared
with its prototypes, so it takes no references.

Wherever `labels` are `Targets`, they may be soft, as mixup makes them: shares of the classes (N, C)
that sum to 1. The cross-entropy is then that of the shares, and a margin applies to each class in
proportion to its share.
"""

import math
from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.batch_checks import check_targets
from core.distance import Cosine
from core.reducer import Reducer, weighted
from core.regularizer import Regularizer
from core.tuples import sample_weights
from core.types import Embeddings, Logits, Scalar, Targets, Tuples


class HasPrototypes(Protocol):
    """A loss with one or several prototypes per class, those of a class side by side."""

    @property
    def prototypes(self) -> Tensor: ...

    @property
    def regularizer(self) -> Regularizer | None: ...

    @property
    def reducer(self) -> Reducer: ...


class Classifier(HasPrototypes, Protocol):
    """A loss that gives logits of the classes."""

    @property
    def num_classes(self) -> int: ...

    def logits(self, embeddings: Embeddings, labels: Targets | None = None, /) -> Logits: ...


class ClassifierHead(nn.Module):
    """Uses a classification loss as the last layer: embeddings (N, D) -> logits (N, C).

    Example: `nn.Sequential(backbone, ClassifierHead(CosFace(num_classes=10, embedding_dim=128)))`.
    With labels and in training mode, the logits include the margin of the loss.
    In pytorch-metric-learning: `get_logits` of a classification loss.
    """

    def __init__(self, objective: Classifier) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, embeddings: Embeddings, labels: Targets | None = None) -> Logits:
        if labels is not None:
            check_targets(embeddings, labels, self.objective.num_classes)
        return self.objective.logits(embeddings, labels)


def classification_loss(
    objective: Classifier, embeddings: Embeddings, labels: Targets, tuples: Tuples | None
) -> Scalar:
    """Cross-entropy of the logits, reduced as in `loss_over_samples`."""
    check_targets(embeddings, labels, objective.num_classes)
    logits = objective.logits(embeddings, labels)
    soft = labels.is_floating_point()
    losses = F.cross_entropy(
        logits, labels.to(logits.dtype) if soft else labels.long(), reduction="none"
    )
    return loss_over_samples(objective, losses, labels, tuples)


def loss_over_samples(
    objective: HasPrototypes, losses: Tensor, labels: Targets, tuples: Tuples | None
) -> Scalar:
    """One loss per sample, weighted by how often the tuples name it; plus the regularizer's share.

    The reducer sees one term, `samples`; a soft label counts there as its largest class.
    """
    largest = labels.argmax(dim=1) if labels.is_floating_point() else labels
    weights = sample_weights(tuples, largest)
    loss = objective.reducer(largest, samples=weighted(losses, weights))
    if objective.regularizer is None:
        return loss
    return loss + objective.regularizer(objective.prototypes)


def init_prototypes(num_classes: int, embedding_dim: int, num_sub_centers: int = 1) -> nn.Parameter:
    """(C K, D), uniform in ±1/√D as in Roth et al.'s code; only the directions matter to most."""
    if num_sub_centers < 1:
        raise ValueError(f"num_sub_centers must be at least 1, got {num_sub_centers}")
    bound = embedding_dim**-0.5
    prototypes = torch.empty(num_classes * num_sub_centers, embedding_dim)
    return nn.Parameter(prototypes.uniform_(-bound, bound))


def choose_scale(scale: float | None, num_classes: int, learn: bool = False) -> Tensor | float:
    """What multiplies the cosines: the number given, or √2 log(C - 1), from AdaCos, if None.

    That is 0 or less for one or two classes, which get the scale of three. A learned scale is a
    parameter that starts there.
    """
    if scale is None:
        scale = math.sqrt(2) * math.log(max(num_classes - 1, 2))
    if scale <= 0:
        raise ValueError(f"scale must be positive, got {scale}")
    return nn.Parameter(torch.tensor(scale)) if learn else scale


def class_cosines(embeddings: Embeddings, prototypes: Tensor, num_classes: int) -> Logits:
    """Cosine with each class: the largest over its prototypes, (N, D), (C K, D) -> (N, C)."""
    cosines = Cosine().similarity(embeddings, prototypes)
    if len(prototypes) == num_classes:
        return cosines
    return cosines.reshape(len(cosines), num_classes, -1).amax(dim=2)


def with_margin(
    cosines: Logits, labels: Targets, harder: Callable[[Tensor, Tensor], Tensor]
) -> Logits:
    """The cosines (N, C), made harder at the labels.

    Args:
        harder: cosines and the shares of their classes, of equal shape, -> cosines; share 0
            changes nothing, share 1 is the full margin.
    """
    if labels.is_floating_point():
        return harder(cosines, labels.to(cosines.dtype))
    own = labels.long()[:, None]
    chosen = cosines.gather(1, own)
    return cosines.scatter(1, own, harder(chosen, torch.ones_like(chosen)))
