"""ResNet-50: He et al., CVPR 2016, https://arxiv.org/abs/1512.03385."""

from collections import OrderedDict

import torchvision
from torch import nn
from torchvision.models import ResNet50_Weights

from architectures.embedder import BatchNorm, Embedder
from architectures.head import Head
from architectures.input_normalization import imagenet
from architectures.pooling import Pooling
from architectures.pretrained import load_pretrained
from core.ranges import Size


def resnet50(
    embedding_dim: Size | None = 128,
    pooling: Pooling = "avg",
    normalize: bool = True,
    batchnorm: BatchNorm = "frozen",
    pretrained: bool = True,
    head: Head = "linear",
) -> Embedder:
    """ResNet-50: the network of torchvision (IMAGENET1K_V1: 76.1% top-1) with an embedding head."""
    network = torchvision.models.resnet50(weights=None)
    if pretrained:
        network.load_state_dict(load_pretrained(ResNet50_Weights.IMAGENET1K_V1.url))
    layers = list(network.named_children())[:-2]  # up to the last feature map: no pooling, no fc
    return Embedder(
        nn.Sequential(OrderedDict(layers)),
        num_features=2048,
        normalization=imagenet(),
        embedding_dim=embedding_dim,
        pooling=pooling,
        normalize=normalize,
        batchnorm=batchnorm,
        head=head,
    )
