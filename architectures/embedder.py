"""Embedder, the common structure of all backbones: trunk, pooling and linear head."""

from typing import Literal, Self, get_args

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from architectures.frozen_batchnorm import freeze_batchnorm
from architectures.head import Head, build_head
from architectures.pooling import Pooling, build_pooling
from core.ranges import Size
from core.types import Embeddings, Images, Outputs

BatchNorm = Literal["frozen", "frozen_statistics", "trained"]


class Embedder(nn.Module):
    """Embedder: computes embeddings (N, D) of images by a trunk, pooling and a head.

    The parameters of `head` may have their own learning rate.

    Args:
        trunk: normalized images (N, 3, H, W) -> feature maps (N, num_features, h, w).
        num_features: channels of the feature maps.
        normalization: uint8 images -> input of the trunk.
        embedding_dim: size D of the embeddings; None makes the pooled features the embeddings.
        pooling: see `architectures.pooling`.
        normalize: whether embeddings have length one.
        batchnorm: `trained` trains it; `frozen` changes neither running statistics nor affine
            parameters; `frozen_statistics` trains the affine parameters only, as the code of
            Roth et al. 2020 does.
        head: see `architectures.head.build_head`.
    """

    def __init__(
        self,
        trunk: nn.Module,
        num_features: int,
        normalization: nn.Module,
        *,
        embedding_dim: Size | None,
        pooling: Pooling,
        normalize: bool,
        batchnorm: BatchNorm,
        head: Head = "linear",
    ) -> None:
        super().__init__()
        if batchnorm not in get_args(BatchNorm):
            choices = ", ".join(get_args(BatchNorm))
            raise ValueError(f"batchnorm must be one of {choices}, got {batchnorm}")
        if embedding_dim is not None and embedding_dim < 1:
            raise ValueError(f"embedding_dim must be at least 1, got {embedding_dim}")
        self.num_features = num_features
        self.embedding_dim = num_features if embedding_dim is None else embedding_dim
        self.normalize, self.batchnorm = normalize, batchnorm
        self.normalization = normalization
        self.trunk = trunk
        self.pool = build_pooling(pooling)
        self.head = build_head(head, num_features, embedding_dim)
        if batchnorm == "frozen":
            for layer in self._batchnorm_layers():
                freeze_batchnorm(layer)
        self.train()

    def forward(self, images: Images, detailed: bool = False) -> Embeddings | Outputs:
        """Embed images; `detailed` returns pooled features and feature maps, too.

        Images may be pooled features (N, num_features) that were computed before.
        """
        if images.ndim == 2:
            embeddings = self.embed_features(images)
            return Outputs(embeddings, images) if detailed else embeddings
        maps = self.trunk(self.normalization(images))
        features = self.pool(maps)
        embeddings = self.embed_features(features)
        return Outputs(embeddings, features, maps) if detailed else embeddings

    def features(self, images: Images) -> Tensor:
        """Input of the head: pooled feature maps (N, num_features)."""
        features: Tensor = self.pool(self.trunk(self.normalization(images)))
        return features

    def embed_features(self, features: Tensor) -> Embeddings:
        """Embeddings of pooled features (N, num_features), in float32."""
        embeddings = self.head(features).float()
        return F.normalize(embeddings, dim=1) if self.normalize else embeddings

    def train(self, mode: bool = True) -> Self:
        """Set training mode, except that frozen BatchNorm stays in evaluation mode."""
        super().train(mode)
        if self.batchnorm != "trained":
            for layer in self._batchnorm_layers():
                layer.eval()
        return self

    def _batchnorm_layers(self) -> list[nn.Module]:
        return [layer for layer in self.trunk.modules() if isinstance(layer, _BatchNorm)]
