"""Functions shared by the losses with class prototypes.

Such a loss is called as `loss(embeddings, labels)` -> scalar. `loss.logits(embeddings)` gives the
logits (N, C) of the classes, of which the largest predicts the class of an image of a training
class, and `ClassifierHead(loss)` makes it the last layer of a classifier. The loss compares
embeddings with its prototypes and takes no references.

Labels of the type `Targets` may be soft, as mixup makes them: class probabilities (N, C) that sum
to 1. The cross-entropy then takes them as its target, and a margin applies to each class in
proportion to its probability.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.batch_checks import check_targets
from core.distance import Cosine
from core.reducer import Reducer, weighted
from core.regularizer import Regularizer
from core.tuples import sample_weights
from core.types import Distance, Embeddings, Logits, Scalar, Targets, Tuples

# Fills prototypes in place, as the functions of torch.nn.init do; it sees (C K, D), fan-in D.
Initializer = Callable[[Tensor], object]


class HasPrototypes(Protocol):
    """A loss with one or several prototypes per class, stored class by class."""

    @property
    def prototypes(self) -> Tensor: ...

    @property
    def regularizer(self) -> Regularizer | None: ...

    @property
    def reducer(self) -> Reducer: ...


class HasLogits(Protocol):
    """A loss that computes logits of the classes."""

    @property
    def num_classes(self) -> int: ...

    def logits(self, embeddings: Embeddings, labels: Targets | None = None, /) -> Logits:
        """Logits of the classes (N, C); in training mode, given labels, they include the margin."""


class Classifier(HasPrototypes, HasLogits, Protocol):
    """A loss with prototypes whose value is the cross-entropy of its logits."""


class ClassifierHead(nn.Module):
    """Classifier head: a classification loss as the last layer, embeddings (N, D) -> logits (N, C).

    Example: `nn.Sequential(backbone, ClassifierHead(CosFace(num_classes=10, embedding_dim=128)))`.
    With labels and in training mode, the logits include the margin of the loss. The method
    `get_logits` of a classification loss in pytorch-metric-learning does the same.
    """

    def __init__(self, objective: HasLogits) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, embeddings: Embeddings, labels: Targets | None = None) -> Logits:
        if labels is not None:
            check_targets(embeddings, labels, self.objective.num_classes)
        return self.objective.logits(embeddings, labels)


def classification_loss(
    objective: Classifier, embeddings: Embeddings, labels: Targets, tuples: Tuples | None
) -> Scalar:
    """Classification loss: cross-entropy of the logits, reduced as in `loss_over_samples`."""
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
    """Reduces one loss per sample, weighted by how often the tuples name it; adds the regularizer.

    The reducer gets one term, `samples`. A soft label counts there as its most probable class.
    """
    largest = labels.argmax(dim=1) if labels.is_floating_point() else labels
    weights = sample_weights(tuples, largest)
    loss = objective.reducer(largest, samples=weighted(losses, weights))
    if objective.regularizer is None:
        return loss
    return loss + objective.regularizer(objective.prototypes)


def init_prototypes(
    num_classes: int,
    embedding_dim: int,
    num_sub_centers: int = 1,
    init: Initializer | None = None,
) -> nn.Parameter:
    """Initial prototypes (C K, D): as `init` fills them, else uniform in ±1/√D as Roth et al."""
    if num_sub_centers < 1:
        raise ValueError(f"num_sub_centers must be at least 1, got {num_sub_centers}")
    bound = embedding_dim**-0.5
    prototypes = torch.empty(num_classes * num_sub_centers, embedding_dim)
    (init or partial(nn.init.uniform_, a=-bound, b=bound))(prototypes)
    return nn.Parameter(prototypes)


def choose_scale(scale: float | None, num_classes: int, learn: bool = False) -> Tensor | float:
    """Scale of the cosines: the given number, or √2 log(C - 1), the scale of AdaCos, if None.

    One or two classes, for which that is not positive, get the scale of three classes. A learned
    scale is a parameter with this initial value.
    """
    if scale is None:
        scale = math.sqrt(2) * math.log(max(num_classes - 1, 2))
    if scale <= 0:
        raise ValueError(f"scale must be positive, got {scale}")
    return nn.Parameter(torch.tensor(scale)) if learn else scale


def class_similarities(
    embeddings: Embeddings, prototypes: Tensor, num_classes: int, distance: Distance
) -> Logits:
    """Similarity with each class, the largest over its prototypes: (N, D), (C K, D) -> (N, C)."""
    similarities = distance.similarity(embeddings, prototypes)
    if len(prototypes) == num_classes:
        return similarities
    return similarities.reshape(len(similarities), num_classes, -1).amax(dim=2)


def class_cosines(embeddings: Embeddings, prototypes: Tensor, num_classes: int) -> Logits:
    """Cosine with each class, the largest over its prototypes: (N, D), (C K, D) -> (N, C)."""
    return class_similarities(embeddings, prototypes, num_classes, Cosine())


def with_margin(
    cosines: Logits, labels: Targets, harder: Callable[[Tensor, Tensor], Tensor]
) -> Logits:
    """Applies a margin to the cosines (N, C) at the labels.

    Args:
        harder: takes cosines and the probabilities of their classes, of equal shape, and returns
            cosines; probability 0 changes nothing, 1 is the full margin.
    """
    if labels.is_floating_point():
        return harder(cosines, labels.to(cosines.dtype))
    own = labels.long()[:, None]
    chosen = cosines.gather(1, own)
    return cosines.scatter(1, own, harder(chosen, torch.ones_like(chosen)))
