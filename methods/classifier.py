"""Classifier beside the metric loss: `TrainWithClassifier` of pytorch-metric-learning."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from core.parameter_groups import Groups, collect_parameter_groups
from core.ranges import NonNegativeFloat, Size
from methods.method import Batch, Embed, Losses, Method


class WithClassifier(Method):
    """Classifier method: adds a classification loss of a network on the embeddings.

    With x the embeddings, y the labels and h the classifier, a step minimizes

        metric_weight · loss(x, y) + classifier_weight · classifier_loss(h(x), y)

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
        metric_weight: of the loss of the run.
        classifier_weight: of the classification loss.
        classifier_loss: called as `classifier_loss(logits, labels)`; None is the cross-entropy.
        lr: learning rate of the classifier; None is that of the optimizer.
        weight_decay: of the classifier; None is that of the optimizer.

    Raises:
        ValueError: both weights are 0.
    """

    def __init__(
        self,
        backbone: nn.Module,
        criterion: nn.Module | None,
        num_classes: Size,
        embedding_dim: Size,
        hidden: Sequence[Size] = (),
        metric_weight: NonNegativeFloat = 1.0,
        classifier_weight: NonNegativeFloat = 1.0,
        classifier_loss: nn.Module | None = None,
        lr: NonNegativeFloat | None = None,
        weight_decay: NonNegativeFloat | None = None,
    ) -> None:
        super().__init__(backbone, criterion)
        if min(metric_weight, classifier_weight) < 0 or metric_weight == classifier_weight == 0:
            raise ValueError(
                "metric_weight and classifier_weight must not be negative, and one positive, "
                f"got {metric_weight} and {classifier_weight}"
            )
        self.metric_weight, self.classifier_weight = metric_weight, classifier_weight
        self.classifier = mlp(embedding_dim, *hidden, num_classes)
        self.classifier_loss = classifier_loss or nn.CrossEntropyLoss()
        given = {"lr": lr, "weight_decay": weight_decay}
        self.rates = {name: value for name, value in given.items() if value is not None}

    def forward(self, batch: Batch, embed: Embed, criterion: nn.Module) -> Losses:
        embeddings, labels = embed(batch.images).embeddings, batch.labels
        losses = {}
        if self.metric_weight:
            losses["metric"] = self.metric_weight * criterion(embeddings, labels)
        if self.classifier_weight:
            logits = self.classifier(embeddings)
            losses["classifier"] = self.classifier_weight * self.classifier_loss(
                logits, labels.long()
            )
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
