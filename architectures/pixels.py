"""Pixels: the image itself, averaged to a few pixels; a baseline without parameters."""

from torch import Tensor, nn

from architectures.embedder import Embedder
from architectures.head import Head
from architectures.input_normalization import InputNormalization
from core.ranges import Size


class Centering(nn.Module):
    """Centering: subtracts the mean over all pixels and channels of each image."""

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) -> images of mean zero."""
        return images - images.mean(dim=(1, 2, 3), keepdim=True)


def pixels(
    size: Size = 16,
    embedding_dim: Size | None = None,
    normalize: bool = True,
    head: Head = "linear",
) -> Embedder:
    """Pixels: averages of `size` x `size` areas of the image, centred; the cosine is a correlation.

    What a network learns shows as the difference from this baseline.

    Args:
        size: height and width after averaging; 3 size² features.
        embedding_dim: see `Embedder`; likewise `normalize` and `head`; None is the pixels.
    """
    trunk = nn.Sequential(
        nn.AdaptiveAvgPool2d(size), Centering(), nn.Flatten(), nn.Unflatten(1, (-1, 1, 1))
    )
    return Embedder(
        trunk,
        num_features=3 * size**2,
        normalization=InputNormalization(mean=(0.0,) * 3, std=(255.0,) * 3),
        embedding_dim=embedding_dim,
        pooling="avg",
        normalize=normalize,
        batchnorm="trained",
        head=head,
    )
