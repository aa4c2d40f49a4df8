"""Small convolutional network of four blocks, for images of 28 to 64 pixels and for the CPU.

It follows the embedding network of Vinyals et al. 2016, https://arxiv.org/abs/1606.04080, but the
width grows and the last map is pooled, so that the number of features does not depend on the size
of the image.
"""

from torch import nn

from architectures.embedder import BatchNorm, Embedder
from architectures.head import Head
from architectures.input_normalization import imagenet
from architectures.pooling import Pooling
from core.ranges import Size


def convnet(
    embedding_dim: Size | None = 128,
    pooling: Pooling = "avg",
    normalize: bool = True,
    batchnorm: BatchNorm = "trained",
    width: Size = 32,
    head: Head = "linear",
) -> Embedder:
    """ConvNet: blocks of 1, 2, 4 and 4 times `width` channels; all but the last halve the image.

    It has no pretrained weights, so that BatchNorm is trained by default.
    """
    trunk = nn.Sequential(
        block(3, width),
        nn.MaxPool2d(2),
        block(width, 2 * width),
        nn.MaxPool2d(2),
        block(2 * width, 4 * width),
        nn.MaxPool2d(2),
        block(4 * width, 4 * width),
    )
    return Embedder(
        trunk,
        num_features=4 * width,
        normalization=imagenet(),
        embedding_dim=embedding_dim,
        pooling=pooling,
        normalize=normalize,
        batchnorm=batchnorm,
        head=head,
    )


def block(in_channels: int, out_channels: int) -> nn.Module:
    """Block: 3 x 3 convolution, BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
