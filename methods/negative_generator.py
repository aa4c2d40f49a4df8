"""Networks of the adversarial method: generator of hard negatives, head with fixed parameters."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from core.ranges import Size
from core.types import Embeddings, Triplets


class Generator(nn.Module):
    """Generator: features of triplets -> synthetic negatives, a perceptron 3 F -> F -> F."""

    def __init__(self, num_features: Size) -> None:
        super().__init__()
        self.hidden = nn.Linear(3 * num_features, num_features)
        self.output = nn.Linear(num_features, num_features)

    def forward(self, features: Tensor, triplets: Triplets) -> Tensor:
        """Synthetic negatives (T, F) of triplets of the features (N, F).

        The hidden layer multiplies each image once for each role instead of each triplet.
        """
        anchors, positives, negatives, _ = triplets
        of_anchor, of_positive, of_negative = self.hidden.weight.chunk(3, dim=1)
        hidden = (
            F.linear(features, of_anchor, self.hidden.bias)[anchors]
            + F.linear(features, of_positive)[positives]
            + F.linear(features, of_negative)[negatives]
        )
        synthetic: Tensor = self.output(hidden.relu())
        return synthetic


class Head(nn.Module):
    """Head of an embedder: pooled features (N, F) -> embeddings (N, D)."""

    def __init__(self, embedder: Any) -> None:  # noqa: ANN401  # architectures.embedder.Embedder
        super().__init__()
        self.embedder = embedder

    def forward(self, features: Tensor) -> Embeddings:
        embeddings: Embeddings = self.embedder.embed_features(features)
        return embeddings

    def fixed(self, features: Tensor) -> Embeddings:
        """The same embeddings, whose gradient reaches the features only."""
        named = self.embedder.head.named_parameters(prefix="embedder.head")
        parameters = {name: parameter.detach() for name, parameter in named}
        embeddings: Embeddings = functional_call(self, parameters, (features,))
        return embeddings


def num_features(backbone: nn.Module) -> int:
    """Number F of the pooled features of an embedder."""
    features = getattr(backbone, "num_features", None)
    if not isinstance(features, int) or not hasattr(backbone, "embed_features"):
        raise ValueError(
            f"backbone {type(backbone).__qualname__}: has no pooled features; the method needs an "
            "architectures.embedder.Embedder"
        )
    return features
