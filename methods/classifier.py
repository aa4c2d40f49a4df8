"""Classifier beside the metric loss: `TrainWithClassifier` of pytorch-metric-learning."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from core.parameter_groups import Groups, collect_parameter_groups
from core.ranges import NonNegativeFloat, Size
from methods.method import Batch, Embed, Losses, Method

LOSSES = ("metric", "classifier")


class WithClassifier(Method):
    """Classifier method: adds a classification loss of a network on the embeddings.

    With x the embeddings, y the labels and h the classifier, a step minimizes

        weight_metric · loss(x, y) + weight_classifier · classifier_loss(h(x), y)

    h is one linear layer, D -> C, or has hidden layers with ReLU before it. It sees the embeddings
    as the backbone gives them. A loss of weight 0 is not computed. Evaluation uses the embeddings
    alone.

    The losses are called `metric` and `classifier`.

    Differences:
        pytorch-metric-learning: embeddings reach the classifier as the embedder gives them, which
            normalizes nothing; `backbone.normalize=false`.

    Args:
        num_classes: C; labels are 0..C-1.
        embedding_dim: D.
        hidden: sizes of the hidden layers, from the embedding on; none by default.
        weights: of `metric`, the loss of the run, and of `classifier`; one not named weighs 1.
        classifier_loss: called as `classifier_loss(logits, labels)`; None is the cross-entropy.
        lr: learning rate of the classifier; None is that of the optimizer.
        weight_decay: of the classifier; None is that of the optimizer.

    Raises:
        ValueError: a weight has another name, one is negative, or both are 0.
    """

    def __init__(
        self,
        backbone: nn.Module,
        criterion: nn.Module | None,
        num_classes: Size,
        embedding_dim: Size,
        hidden: Sequence[Size] = (),
        weights: Mapping[str, NonNegativeFloat] | None = None,
        classifier_loss: nn.Module | None = None,
        lr: NonNegativeFloat | None = None,
        weight_decay: NonNegativeFloat | None = None,
    ) -> None:
        super().__init__(backbone, criterion)
        given = weights or {}
        if unknown := sorted(given.keys() - set(LOSSES)):
            raise ValueError(f"weights must name {' or '.join(LOSSES)}, got {unknown}")
        self.weights = {name: float(given.get(name, 1)) for name in LOSSES}
        if min(self.weights.values()) < 0 or not any(self.weights.values()):
            raise ValueError(f"weights must not be negative, and one positive, got {self.weights}")
        self.classifier = mlp(embedding_dim, *hidden, num_classes)
        self.classifier_loss = classifier_loss or nn.CrossEntropyLoss()
        rates = {"lr": lr, "weight_decay": weight_decay}
        self.rates = {name: value for name, value in rates.items() if value is not None}

    def forward(self, batch: Batch, embed: Embed, criterion: nn.Module) -> Losses:
        embeddings, labels = embed(batch.images).embeddings, batch.labels
        losses: Losses = {}
        if self.weights["metric"]:
            losses["metric"] = self.weights["metric"] * criterion(embeddings, labels)
        if self.weights["classifier"]:
            loss = self.classifier_loss(self.classifier(embeddings), labels.long())
            losses["classifier"] = self.weights["classifier"] * loss
        return losses

    def parameter_groups(self) -> Groups:
        own: dict[str, Any] = {"params": list(self.classifier.parameters()), **self.rates}
        return [own, *collect_parameter_groups(self.classifier_loss)]


def mlp(*sizes: int) -> nn.Sequential:
    """Multilayer perceptron: linear layers from each size to the next, ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
