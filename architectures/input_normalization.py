"""Input normalization: from uint8 images to the input of a network."""

import torch
from torch import Tensor, nn

from core.types import Images


class InputNormalization(nn.Module):
    """Input normalization: (image - mean) / std per channel, in float32, on the images' device.

    Args:
        mean: per channel of the network's input, in pixel values 0..255.
        std: as `mean`, > 0.
        bgr: whether the network expects BGR; `mean` and `std` are then in that order, too.
    """

    def __init__(
        self,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        bgr: bool = False,
    ) -> None:
        super().__init__()
        self.bgr = bgr
        # constants of the architecture, which move with the device but are not saved
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, images: Images) -> Tensor:
        """Normalize images: (N, 3, H, W) RGB, uint8 -> (N, 3, H, W) float32.

        Raises:
            TypeError: the images are not uint8, such as images that are normalized already.
            ValueError: they are not (N, 3, H, W).
        """
        if images.dtype != torch.uint8:
            raise TypeError(
                f"a backbone takes uint8 RGB images in 0..255 and normalizes them itself, "
                f"got {images.dtype}"
            )
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"expected images (N, 3, H, W), got {tuple(images.shape)}")
        ordered = images.flip(1) if self.bgr else images
        return (ordered.to(torch.float32) - self.mean) / self.std


def imagenet() -> InputNormalization:
    """ImageNet normalization: mean and standard deviation that torchvision's weights expect."""
    return InputNormalization(
        mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
        std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
    )
