"""GoogLeNet with BatchNorm: Szegedy et al., CVPR 2015, https://arxiv.org/abs/1409.4842."""

from collections import OrderedDict

from torch import nn
from torchvision.models import GoogLeNet, GoogLeNet_Weights

from architectures.embedder import BatchNorm, Embedder
from architectures.head import Head
from architectures.input_normalization import InputNormalization
from architectures.pooling import Pooling
from architectures.pretrained import load_pretrained
from core.ranges import Size


def googlenet(
    embedding_dim: Size | None = 128,
    pooling: Pooling = "avg",
    normalize: bool = True,
    batchnorm: BatchNorm = "frozen",
    pretrained: bool = True,
    head: Head = "linear",
) -> Embedder:
    """GoogLeNet: the network of torchvision without auxiliary classifiers, with an embedding head.

    The weights come from TensorFlow and expect pixels in -1..1. torchvision undoes the ImageNet
    normalization inside the network (`transform_input`); here the input is scaled to -1..1 once.
    """
    network = GoogLeNet(aux_logits=False, transform_input=False, init_weights=not pretrained)
    if pretrained:
        weights = load_pretrained(GoogLeNet_Weights.IMAGENET1K_V1.url)
        kept = {name: w for name, w in weights.items() if not name.startswith("aux")}
        network.load_state_dict(kept)
    layers = list(network.named_children())[:-3]  # no pooling, no dropout, no fc
    return Embedder(
        nn.Sequential(OrderedDict(layers)),
        num_features=1024,
        normalization=InputNormalization(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5)),
        embedding_dim=embedding_dim,
        pooling=pooling,
        normalize=normalize,
        batchnorm=batchnorm,
        head=head,
    )
