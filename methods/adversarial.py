"""Deep adversarial metric learning (DAML): Duan et al., CVPR 2018."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.kernels.l2_normalize import l2_normalize
from core.parameter_groups import Groups
from core.random_triplets import RandomTriplets
from core.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt, Seed
from core.types import Embeddings, Outputs, Scalar, Triplets
from methods.method import Batch, Detail, Embed, Losses, Method
from methods.negative_generator import Generator, Head, num_features

LOSSES = ("metric", "synthetic", "hard", "regular", "adversarial")


class Adversarial(Method):
    """Adversarial method (DAML): a generator makes hard negatives, which the embedder separates.

    A generator G, which only training needs, turns the pooled features f of random triplets
    (a, p, n) of the batch into a synthetic negative ñ = G(f_a, f_p, f_n). With e the embedding, D
    the squared Euclidean distance of unit vectors, m the margin, and means over the triplets, the
    losses are

        metric         loss of the run on the real embeddings
        synthetic      [D(e_a, e_p) - D(e_a, e_ñ) + m]₊        trunk and head
        hard           D(ñ, f_a)                               generator
        regular        D(ñ, f_n)                               generator
        adversarial    [D(e_a, e_ñ) - D(e_a, e_p) - m]₊        generator

    Their weighted sum is minimized in one step, and each reaches only the parameters named: the
    synthetic loss takes ñ as it is, the three others take the features and the head as they are.
    `synthetic` is a triplet loss, whatever the loss of the run, which may have prototypes.

    The first `metric_alone_epochs` epochs have the metric loss only. The next
    `generator_alone_epochs` epochs train the generator against the embedder, whose parameters stay
    as they are; only its running statistics of BatchNorm change. Then all are trained.

    Differences:
        Duan et al.: ñ and f are not normalized in `hard` and `regular`, and the loss of the run
            takes the place of `synthetic`.
        pytorch-metric-learning: `DeepAdversarialMetricLearning` divides `hard` and `regular` by the
            number of features, has distances that are not squared, `squared=False`, and takes the
            mean of the hinges above zero. It detaches nothing: the losses of the generator also
            move the trunk, and the synthetic loss moves the generator towards easy negatives.

    Args:
        backbone: an `architectures.embedder.Embedder`.
        criterion: see `methods.method.Method`.
        metric_alone_epochs: epochs without the generator, at the beginning.
        generator_alone_epochs: epochs of the generator alone, after these.
        triplets_per_anchor: random triplets of each anchor, drawn with replacement.
        weights: of the losses, by name; a loss that is not named weighs 1.
        margin: m, in units of D.
        squared: whether the distances D of embeddings are squared.
        lr, weight_decay: of the generator. With the rate 1e-6 of powerful-benchmarker, where the
            backbone has it, too, the synthetic negatives stay too easy for the synthetic loss.
        seed: of the triplets.
    """

    details: ClassVar[tuple[Detail, ...]] = ("features",)

    def __init__(
        self,
        backbone: nn.Module,
        criterion: nn.Module | None,
        metric_alone_epochs: NonNegativeInt = 0,
        generator_alone_epochs: NonNegativeInt = 0,
        triplets_per_anchor: PositiveInt = 100,
        weights: Mapping[str, NonNegativeFloat] | None = None,
        margin: NonNegativeFloat = 0.01,
        squared: bool = True,
        lr: NonNegativeFloat = 1e-4,
        weight_decay: NonNegativeFloat = 1e-4,
        seed: Seed = 0,
    ) -> None:
        super().__init__(backbone, criterion)
        weights = weights or {}
        if unknown := sorted(weights.keys() - set(LOSSES)):
            raise ValueError(f"weights must name some of {', '.join(LOSSES)}, got {unknown}")
        if negative := sorted(name for name, weight in weights.items() if weight < 0):
            raise ValueError(f"weights must not be negative, got {negative}")
        self.metric_alone_epochs = metric_alone_epochs
        self.generator_alone_epochs = generator_alone_epochs
        self.margin, self.squared = margin, squared
        self.weights = {name: float(weights.get(name, 1)) for name in LOSSES}
        self.lr, self.weight_decay = lr, weight_decay
        self.generator = Generator(num_features(backbone))
        self.draw_triplets = RandomTriplets(triplets_per_anchor, seed)
        self._head = (Head(backbone),)  # a tuple, so that the backbone is no part of the method

    def parameter_groups(self) -> Groups:
        parameters = list(self.generator.parameters())
        return [{"params": parameters, "lr": self.lr, "weight_decay": self.weight_decay}]

    def forward(self, batch: Batch, embed: Embed, criterion: nn.Module) -> Losses:
        joint_from = self.metric_alone_epochs + self.generator_alone_epochs
        trains_generator = batch.epoch >= self.metric_alone_epochs
        trains_embedder = not trains_generator or batch.epoch >= joint_from
        with torch.set_grad_enabled(trains_embedder):
            outputs = embed(batch.images)
        losses: Losses = {}
        if trains_embedder:
            losses["metric"] = criterion(outputs.embeddings, batch.labels)
        if trains_generator:
            triplets = self.draw_triplets(outputs.embeddings, batch.labels)
            synthetic, generator_losses = self.generate(outputs, triplets)
            if trains_embedder:
                losses["synthetic"] = self.synthetic_loss(outputs.embeddings, synthetic, triplets)
            losses |= generator_losses
        return {name: self.weights[name] * loss for name, loss in losses.items()}

    def generate(self, outputs: Outputs, triplets: Triplets) -> tuple[Tensor, Losses]:
        """Synthetic negatives (T, F) of triplets, and the losses of the generator."""
        assert outputs.features is not None
        (head,) = self._head
        features, embeddings = outputs.features.detach(), outputs.embeddings.detach()
        synthetic = self.generator(features, triplets)
        anchors, _, negatives, valid = triplets
        nearer, farther = self._distances(embeddings, head.fixed(synthetic), triplets)
        losses = {
            "hard": squared_distance(synthetic, features[anchors]),
            "regular": squared_distance(synthetic, features[negatives]),
            "adversarial": (farther - nearer - self.margin).relu(),
        }
        return synthetic, {name: mean_of(loss, valid) for name, loss in losses.items()}

    def synthetic_loss(
        self, embeddings: Embeddings, synthetic: Tensor, triplets: Triplets
    ) -> Scalar:
        """Triplet loss of the embedder, whose negatives are the embedded synthetic features."""
        (head,) = self._head
        nearer, farther = self._distances(embeddings, head(synthetic.detach()), triplets)
        return mean_of((nearer - farther + self.margin).relu(), triplets.valid)

    def _distances(
        self, embeddings: Embeddings, negatives: Embeddings, triplets: Triplets
    ) -> tuple[Tensor, Tensor]:
        """Distances of the anchor from the positive and from the synthetic negative, (T,) each."""
        anchors, positives = embeddings[triplets.anchors], embeddings[triplets.positives]
        distance = squared_distance if self.squared else euclidean_distance
        return distance(anchors, positives), distance(anchors, negatives)

    def check(self, sampler: Any, criterion: nn.Module) -> None:  # noqa: ANN401, ARG002
        """Check that a batch has triplets, and that the head embeds each image by itself.

        Raises:
            ValueError: the sampler draws one image of each class; or the head has BatchNorm, whose
                statistics would be those of synthetic features, too.
        """
        (head,) = self._head
        if any(isinstance(layer, _BatchNorm) for layer in head.embedder.head.modules()):
            raise ValueError(
                "embeds synthetic features, which would change the statistics of BatchNorm in the "
                "head; choose another backbone.head, such as linear+layernorm"
            )
        replaced = getattr(sampler, "replacement", False)
        if getattr(sampler, "samples_per_class", None) == 1 and not replaced:
            raise ValueError(
                "needs triplets, and the sampler draws one image of each class; "
                "choose sampler.samples_per_class=2 or more"
            )


def squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distance of rows scaled to length one, (T, D), (T, D) -> (T,)."""
    return (l2_normalize(x) - l2_normalize(y)).square().sum(dim=1)


def euclidean_distance(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance of rows scaled to length one; equal rows have a gradient of zero."""
    distances: Tensor = torch.linalg.vector_norm(l2_normalize(x) - l2_normalize(y), dim=1)
    return distances


def mean_of(losses: Tensor, valid: Tensor | None) -> Scalar:
    """Mean of the losses of the valid triplets; 0 without any."""
    if valid is None:
        return losses.mean()
    return losses.where(valid, 0).sum() / valid.sum().clamp(min=1)
