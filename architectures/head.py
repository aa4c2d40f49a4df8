"""Embedding head: from pooled features (N, F) to embeddings (N, D)."""

from typing import Literal, get_args

from torch import Tensor, nn

from core.ranges import Size

Head = Literal["linear", "linear+layernorm", "layernorm+linear", "bnneck"]


def build_head(head: Head, num_features: int, embedding_dim: Size | None) -> nn.Module:
    """Build a head.

    Args:
        head: `linear`; with `layernorm`, LayerNorm without trained parameters follows or precedes
            it; `bnneck` is `BNNeck`.
        num_features: F.
        embedding_dim: D; None has no head, and the embeddings are the features, D = F.

    Raises:
        ValueError: there is no such head.
    """
    if head not in get_args(Head):
        raise ValueError(f"head must be one of {', '.join(get_args(Head))}, got {head}")
    if embedding_dim is None:
        return nn.Identity()
    linear = nn.Linear(num_features, embedding_dim)
    if head == "linear+layernorm":
        return nn.Sequential(linear, nn.LayerNorm(embedding_dim, elementwise_affine=False))
    if head == "layernorm+linear":
        return nn.Sequential(nn.LayerNorm(num_features, elementwise_affine=False), linear)
    return BNNeck(linear) if head == "bnneck" else linear


class BNNeck(nn.Module):
    """BNNeck: a linear layer followed by BatchNorm whose bias stays zero.

    Luo et al., Bag of Tricks and a Strong Baseline for Deep Person Re-identification, 2019,
    https://arxiv.org/abs/1903.07071.

    Differences:
        Luo et al.: train a triplet loss on the output of the linear layer and a classification loss
            on that of BatchNorm; here every loss gets the output of BatchNorm, which they test.

    Args:
        linear: the linear layer.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear, self.norm = linear, nn.BatchNorm1d(linear.out_features)
        self.norm.bias.requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.linear(features))
        return normed
