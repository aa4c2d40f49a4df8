"""Networks of cascaded embeddings: unit slices of a vector, and heads on several layers."""

import difflib
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.distance import to_float32
from core.kernels.l2_normalize import l2_normalize
from core.types import Embeddings, Images

PIXELS = 224  # of the image that measures the feature maps; their number of channels matters alone


class UnitSlices(nn.Module):
    """Unit slices: scales slices of an embedding to unit length, and their concatenation, too.

        [w_1 u_1, ..., w_K u_K] / √(Σ_k w_k²)

    with u_k the k-th slice of the vector that the network gives, divided by its length.

    Args:
        network: images -> vectors (N, D).
        sizes: dimensions of each slice; their sum is D.
        weights: w_k > 0, the length of each slice in the concatenation.
    """

    def __init__(self, network: nn.Module, sizes: Sequence[int], weights: Sequence[float]) -> None:
        super().__init__()
        self.network, self.sizes = network, list(sizes)
        whole = math.hypot(*weights)
        self.lengths = [weight / whole for weight in weights]

    @property
    def head(self) -> nn.Module | None:
        """The linear layers, which may have their own learning rate."""
        head: nn.Module | None = getattr(self.network, "head", None)
        return head

    def forward(self, images: Images) -> Embeddings:
        slices = torch.split(to_float32(self.network(images)), self.sizes, dim=1)
        units = zip(self.lengths, map(l2_normalize, slices), strict=True)
        return torch.cat([length * vectors for length, vectors in units], dim=1)


class LayerHeads(nn.Module):
    """Layer heads: a linear head on each of several layers of a trunk, and one on its output.

    Each head sees the feature maps of its layer, pooled as the backbone pools the last ones. The
    output is the concatenation of the heads, (N, sum of sizes), in the order of the layers.

    Args:
        backbone: an `architectures.embedder.Embedder`; its own head is removed.
        layers: names of modules of the trunk, from its input on; each gives feature maps.
        sizes: outputs of each head; one more than layers, the last for the trunk's output.

    Raises:
        ValueError: the backbone has no trunk, or its trunk no such layer, or a layer gives no maps.
    """

    def __init__(self, backbone: nn.Module, layers: Sequence[str], sizes: Sequence[int]) -> None:
        super().__init__()
        needed = ("trunk", "pool", "features")
        if missing := [name for name in needed if not hasattr(backbone, name)]:
            raise ValueError(
                "layers needs a backbone with trunk and pooling, such as convnet or resnet50; "
                f"{type(backbone).__name__} has no {missing[0]}"
            )
        self.backbone: Any = backbone
        self.layers = list(layers)
        self.pooled: dict[str, Tensor] = {}  # of the layers, during a forward pass
        for name in layers:
            layer = layer_of(backbone.get_submodule("trunk"), name)
            layer.register_forward_hook(partial(self._pool, name))
        channels = self._channels()
        backbone.head = nn.Identity()
        self.head = nn.ModuleList(map(nn.Linear, channels, sizes))

    def forward(self, images: Images) -> Tensor:
        heads = zip(self.head, self._features(images), strict=True)
        return torch.cat([to_float32(head(features)) for head, features in heads], dim=1)

    def _features(self, images: Images) -> list[Tensor]:
        """Pooled feature maps of the layers and of the trunk's output."""
        last: Tensor = self.backbone.features(images)
        if unused := [name for name in self.layers if name not in self.pooled]:
            raise ValueError(f"layers: the trunk does not call {unused[0]}")
        return [*map(self.pooled.pop, self.layers), last]

    def _pool(self, name: str, _layer: nn.Module, _inputs: object, output: object) -> None:
        if not isinstance(output, Tensor) or output.ndim != 4:
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"layers: {name} gives {shape}, no feature maps (N, F, h, w)")
        self.pooled[name] = self.backbone.pool(output)

    @torch.no_grad()
    def _channels(self) -> list[int]:
        """Channels of the layers and of the trunk's output, measured with an empty image."""
        training = self.backbone.training
        self.backbone.eval()
        features = self._features(torch.zeros(1, 3, PIXELS, PIXELS, dtype=torch.uint8))
        self.backbone.train(training)
        return [vectors.shape[1] for vectors in features]


def layer_of(trunk: nn.Module, name: str) -> nn.Module:
    """The module of a trunk with that name.

    Raises:
        ValueError: there is none; names similar ones, or those at the top.
    """
    layers: dict[str, nn.Module] = dict(trunk.named_modules())
    if name and name in layers:
        return layers[name]
    known = difflib.get_close_matches(name, layers) or [top for top, _ in trunk.named_children()]
    raise ValueError(f"layers: the trunk has no layer {name!r}; it has {', '.join(known)}, ...")
